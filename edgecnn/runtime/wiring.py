"""How a photo becomes a file's input and its output becomes scores: told, or assumed."""

from __future__ import annotations

import dataclasses
import math
import typing
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgecnn.core import files
from edgecnn.core.artifact import FileInput, FileMetadata, FileOutput, Io
from edgecnn.core.errors import InputError
from edgecnn.core.image import Pixels, Preprocessing
from edgecnn.runtime.engine import Port, Raw

Normalization = tuple[float, float]
"""Scale and offset: what a float model takes is ``pixel * scale + offset``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wiring:
    """Both ends of a file."""

    preprocessing: Preprocessing
    input: FileInput
    output: FileOutput


def told(metadata: FileMetadata, source: Port, result: Port, *, where: Path) -> Wiring:
    """Return what the file says about itself.

    Raises:
        InputError: the file's tensors are not what it says.
    """
    how = metadata.preprocessing
    shape = how.shape if metadata.input.layout == "NHWC" else (how.channels, how.height, how.width)
    if (
        source.shape[1:] != shape
        or source.dtype != metadata.input.dtype
        or result.dtype != metadata.output.dtype
    ):
        raise InputError(
            "a description that does not fit the model", where=where, fix="export it again"
        )
    return Wiring(preprocessing=how, input=metadata.input, output=metadata.output)


def assumed(
    source: Port, result: Port, *, normalization: Normalization | None = None, where: Path
) -> Wiring:
    """Return what is usual for a file that says nothing about itself.

    Its size is that of its input; integers take raw pixels (int8: pixel - 128), floats take
    0..255, and ``normalization`` overrides both; outputs follow their own quantization.

    Raises:
        InputError: the input is no image of a known size and type.
    """
    if source.dtype not in typing.get_args(Io) or result.dtype not in typing.get_args(Io):
        raise InputError(
            f"a model from {source.dtype} to {result.dtype}",
            where=where,
            fix="use one with uint8, int8 or float32 at both ends",
        )
    layout, (height, width, channels) = _image_axes(source.shape, where=where)
    scale, offset = 1.0, -128.0 if source.dtype == "int8" else 0.0
    if normalization is not None:
        scale, offset = (number / source.scale for number in normalization)
        offset += source.zero_point
    try:
        how = Preprocessing(height=height, width=width, channels=channels)
    except ValueError as error:
        raise InputError(f"an input of {error}", where=where, fix="use an image model") from error
    return Wiring(
        preprocessing=how,
        input=FileInput(
            dtype=typing.cast("Io", source.dtype), scale=scale, offset=offset, layout=layout
        ),
        output=FileOutput(
            dtype=typing.cast("Io", result.dtype), scale=result.scale, zero_point=result.zero_point
        ),
    )


def _image_axes(
    shape: tuple[int, ...], *, where: Path
) -> tuple[typing.Literal["NHWC", "NCHW"], tuple[int, int, int]]:
    if len(shape) == 4 and shape[0] in (1, -1):
        if shape[3] in (1, 3):
            return "NHWC", (shape[1], shape[2], shape[3])
        if shape[1] in (1, 3):
            return "NCHW", (shape[2], shape[3], shape[1])
    raise InputError(
        f"an input of shape {list(shape)}",
        where=where,
        fix="use a model of one image [1, height, width, 3] or [1, 3, height, width]",
    )


def output_count(result: Port, *, where: Path) -> int:
    """Return how many scores one image gets.

    Raises:
        InputError: the file leaves it open, or answers several images at once.
    """
    if not result.shape or result.shape[0] not in (1, -1) or min(result.shape[1:], default=0) < 1:
        raise InputError(
            f"an output of shape {list(result.shape)}",
            where=where,
            fix="use a model with one fixed row of scores an image",
        )
    return math.prod(result.shape[1:])


def to_input(pixels: Pixels, table: Raw | None, layout: str) -> Raw:
    """Return the file's input tensor [1, ...] for one image [H, W, C], by `pixel_table`."""
    tensor = pixels if table is None else table[pixels]
    return (tensor if layout == "NHWC" else tensor.transpose(2, 0, 1))[None]


def pixel_table(how: FileInput) -> Raw | None:
    """Return what each of the 256 pixel values becomes; None where bytes pass as they are."""
    if how.dtype == "uint8" and (how.scale, how.offset) == (1.0, 0.0):
        return None
    values = np.arange(256, dtype=np.float64) * how.scale + how.offset
    if how.dtype == "float32":
        return values.astype(np.float32)
    limits = np.iinfo(how.dtype)
    return np.rint(values).clip(limits.min, limits.max).astype(how.dtype)


def to_scores(raw: Raw, how: FileOutput) -> npt.NDArray[np.float32]:
    """Return one image's output as real values in one row, float32."""
    values = raw.reshape(-1).astype(np.float32)
    if how.dtype == "float32":
        return values
    return (values - np.float32(how.zero_point)) * np.float32(how.scale)


def read_labels(path: Path) -> tuple[str, ...]:
    """Read names of classes from a text file, one a line; blank lines at the end don't count.

    Raises:
        InputError: no such file, or no text.
    """
    data = files.read_bytes(path, limit=10_000_000, kind="labels file")
    try:
        lines = data.decode("utf-8-sig").rstrip().splitlines()
    except UnicodeDecodeError as error:
        raise InputError("no UTF-8 text", where=path, fix="write one class a line") from error
    return tuple(line.strip() for line in lines)
