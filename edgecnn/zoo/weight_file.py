"""Files of weights, whatever wrote them, as one list of layers; and that list into a model.

No code and no configuration of a file is ever executed: only its numbers are taken.
"""

from __future__ import annotations

import dataclasses
import io
import itertools
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

import keras
import numpy as np
import numpy.typing as npt

from edgecnn.core import files
from edgecnn.core.errors import InputError
from edgecnn.zoo import torch_file
from edgecnn.zoo.h5_child import LIMIT_BYTES

Array: TypeAlias = npt.NDArray[np.float32]
Shape: TypeAlias = tuple[int, ...]

_H5_MAGIC = b"\x89HDF\r\n\x1a\n"
_ZIP_MAGIC = b"PK\x03\x04"
_KERAS_MEMBER = "model.weights.h5"
_TIMEOUT_SECONDS = 120.0


@dataclasses.dataclass(frozen=True, eq=False)
class FileLayer:
    """One layer's arrays, in Keras's order and layout, and its name in the file."""

    name: str
    arrays: tuple[Array, ...]


def read_keras(path: Path) -> list[FileLayer]:
    """Read a ``.weights.h5``, ``.h5`` or ``.keras`` file.

    Returns:
        Layers with weights; those of one kind are in the model's order.

    Raises:
        InputError: absent, damaged, too large or of another kind.
    """
    data = files.read_bytes(path, limit=LIMIT_BYTES, kind="file of weights")
    if data.startswith(_ZIP_MAGIC):
        data = _keras_member(data, path)
    if not data.startswith(_H5_MAGIC):
        raise InputError("no Keras weights", where=path, fix="use .weights.h5, .h5 or .keras")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "weights.h5"
        copy.write_bytes(data)
        return _read_h5(copy, where=path)


def read_torch(path: Path) -> list[FileLayer]:
    """Read a torch state dictionary and bring its arrays to Keras's layout; see `read_keras`."""
    data = files.read_bytes(path, limit=LIMIT_BYTES, kind="file of weights")
    tensors = torch_file.read_tensors(data, where=path)
    numbers = {name: array for name, array in tensors.items() if array.dtype == np.float32}
    grouped = itertools.groupby(numbers.items(), key=lambda item: item[0].rpartition(".")[0])
    return [
        FileLayer(name, tuple(_to_keras_layout(array) for _, array in items))
        for name, items in grouped
    ]


def assign(model: keras.Model, layers: Iterable[FileLayer], *, where: Path) -> None:
    """Set all weights of a model, layer by layer of the same kind, in order.

    Layers of a kind that the model has none of (a classifier, for a body) are left out.

    Raises:
        InputError: the first layer that differs, or holds no finite numbers. The model is
            unchanged then.
    """
    waiting: dict[str, list[FileLayer]] = {}
    for item in layers:
        waiting.setdefault(_kind(_shapes(item.arrays)), []).append(item)
    try:
        pairs = [(layer, _next(layer, waiting)) for layer in model.layers if layer.weights]
        for kind in {_kind(_shapes(layer.weights)) for layer, _ in pairs}:
            if waiting.get(kind):
                raise ValueError(f"layer {waiting[kind][0].name}: not in the model")
    except ValueError as error:
        fix = f"use weights made for this {model.name}"
        raise InputError(str(error), where=where, fix=fix) from None
    for layer, found in pairs:
        layer.set_weights(list(found.arrays))


def _next(layer: keras.Layer, waiting: dict[str, list[FileLayer]]) -> FileLayer:
    """Take the file's next layer of the kind, if it fits."""
    shapes = _shapes(layer.weights)
    queue = waiting.get(_kind(shapes))
    if not queue:
        raise ValueError(f"layer {layer.name}: file has no weights for it")
    found = queue.pop(0)
    for theirs, ours in itertools.zip_longest(_shapes(found.arrays), shapes):
        if theirs != ours:
            raise ValueError(
                f"layer {layer.name}: file has {theirs or 'nothing'}, model has {ours or 'nothing'}"
            )
    if not all(np.isfinite(array).all() for array in found.arrays):
        raise ValueError(f"layer {layer.name}: file has values that are not finite")
    return found


def _shapes(arrays: Iterable[Any]) -> list[Shape]:
    return [tuple(array.shape) for array in arrays]


def _kind(shapes: list[Shape]) -> str:
    """Tell a layer's kind from its shapes: all that every format has in common."""
    match [len(shape) for shape in shapes]:
        case [1, 1, 1, 1]:
            return "batch norm"
        case [4, 4] | [4, 4, 1]:
            return "separable convolution"
        case [4] | [4, 1]:
            is_depthwise = shapes[0][3] == 1 and shapes[0][0] > 1
            return "depthwise convolution" if is_depthwise else "convolution"
        case [2] | [2, 1]:
            return "dense"
        case _:
            return "other"


def _to_keras_layout(array: npt.NDArray[Any]) -> Array:
    if array.ndim == 4 and array.shape[1] == 1:  # [channels, 1, h, w] to [h, w, channels, 1]
        array = array.transpose(2, 3, 0, 1)
    elif array.ndim == 4:  # [out, in, h, w] to [h, w, in, out]
        array = array.transpose(2, 3, 1, 0)
    elif array.ndim == 2:
        array = array.T
    return np.ascontiguousarray(array, np.float32)


def _keras_member(data: bytes, path: Path) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if archive.getinfo(_KERAS_MEMBER).file_size > LIMIT_BYTES:
                raise ValueError("more than 1 GB of weights")
            return archive.read(_KERAS_MEMBER)
    except Exception as error:  # zipfile and zlib raise many kinds on damaged archives
        raise InputError(
            f"a damaged .keras archive ({error})", where=path, fix="get the file again"
        ) from error


def _read_h5(path: Path, *, where: Path) -> list[FileLayer]:
    script = Path(__file__).with_name("h5_child.py")
    try:
        child = subprocess.run(
            [sys.executable, "-I", script, path],
            capture_output=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InputError(
            "weights that take forever to read", where=where, fix="get the file again"
        ) from None
    if child.returncode != 0:
        lines = child.stderr.decode(errors="replace").strip().splitlines() or ["reader crashed"]
        raise InputError(
            f"damaged Keras weights ({lines[-1][:120]})", where=where, fix="get the file again"
        )
    with np.load(io.BytesIO(child.stdout), allow_pickle=False) as archive:
        pairs = [(str(name), archive[str(i)]) for i, name in enumerate(archive["names"])]
    grouped = itertools.groupby(pairs, key=lambda pair: pair[0].rpartition("|")[0])
    return [FileLayer(name, tuple(array for _, array in items)) for name, items in grouped]
