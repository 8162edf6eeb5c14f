"""An existing quantized file beside the float network, layer by layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn.core import progress
from edgecnn.core.artifact import FileInput
from edgecnn.core.errors import InputError
from edgecnn.core.noise import AgainstFile, LayerMatch
from edgecnn.explain.difference import Seen
from edgecnn.explain.graph import Graph
from edgecnn.explain.insides import Insides, open_insides
from edgecnn.explain.matching import Twin, match
from edgecnn.quantize.tflite import activations_of
from edgecnn.quantize.tflite_graph import name_of
from edgecnn.runtime import wiring
from edgecnn.runtime.metadata import read_metadata

Array: TypeAlias = npt.NDArray[Any]
Feed: TypeAlias = Callable[[Array, Array], Array]
"""From a photo's pixels and the float network's input to the file's input."""

# Tensors are told apart on the first photos.
_MATCHED = 4


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Photos in two forms, in the same order.

    Attributes:
        pixels: Returns them as [1, H, W, C] uint8, anew at each call.
        inputs: As the float network takes them.
        about: What they are, for people.
        detailed: Of the first so many all tensors are compared.
        count: How many there are, for people who wait.
    """

    pixels: Callable[[], Iterable[Array]]
    inputs: Callable[[], Iterable[Array]]
    about: str = ""
    detailed: int = 64
    count: int = 0

    def pairs(self) -> Iterator[tuple[Array, Array]]:
        """Yield pixels and input of each photo."""
        return zip(self.pixels(), self.inputs(), strict=True)


def compare_file(float_file: bytes, path: Path, pictures: Pictures) -> AgainstFile:
    """Compare a file with the float network that it should compute.

    Args:
        float_file: The float32 TFLite file of the network.
        path: A ``.tflite`` or ``.onnx`` file, by whatever tool; one that its runtime runs.
        pictures: On which both are run.

    Raises:
        InputError: an unusable file, or one of another network.
    """
    graph, file = Graph(float_file), open_insides(path)
    output = name_of(graph.model.subgraphs[0].tensors[graph.model.subgraphs[0].outputs[0]])
    feed = _feed(float_file, file, output, pictures, path)
    both = _both(float_file, file, feed, pictures)
    first = [pair for pair, _ in zip(both, range(_MATCHED), strict=False)]
    ours = [{name: exact[name] for name in graph.operators if name in exact} for exact, _ in first]
    twins = match(ours, [made for _, made in first])
    if not twins:
        raise InputError(
            "no tensor like one of the checkpoint's network", where=path, fix="give its own file"
        )
    seen: dict[str, Seen] = {name: Seen() for name in twins}
    n = detailed = flips = 0
    with progress.bar("comparing", total=pictures.count) as advance:
        for exact, made in _both(float_file, file, feed, pictures):
            if n < pictures.detailed:
                detailed += 1
                _add(seen, twins, exact, made, file)
            flips += int(exact[output].argmax() != made[file.output].argmax())
            n += 1
            advance()
    return AgainstFile(
        file=path.name,
        data=pictures.about,
        n=n,
        n_detailed=detailed,
        flips=flips,
        layers=tuple(
            _layer(graph, name, twins[name], seen[name], file)
            for name in graph.operators
            if name in twins
        ),
        missing=tuple(graph.labels[name] for name in graph.operators if name not in twins),
        others=len(file.dtypes) - len(twins),
    )


def _both(
    float_file: bytes, file: Insides, feed: Feed, pictures: Pictures
) -> Iterator[tuple[Mapping[str, Array], Mapping[str, Array]]]:
    exact = activations_of(float_file, pictures.inputs())
    for (pixels, value), values in zip(pictures.pairs(), exact, strict=True):
        yield values, file.run(feed(pixels, value))


def _add(
    seen: Mapping[str, Seen],
    twins: Mapping[str, Twin],
    exact: Mapping[str, Array],
    made: Mapping[str, Array],
    file: Insides,
) -> None:
    for name, twin in twins.items():
        values = twin.arranged(made[twin.name])
        seen[name].add(exact[name].reshape(-1), values, file.grids.get(twin.name))


def _layer(graph: Graph, name: str, twin: Twin, seen: Seen, file: Insides) -> LayerMatch:
    grid = file.grids.get(twin.name)
    return LayerMatch(
        name=name,
        label=graph.labels[name],
        operation=graph.kind(name),
        macs=graph.macs[name],
        tensor=twin.name,
        found=twin.found,
        dtype=file.dtypes[twin.name],
        low=grid.low if grid else None,
        high=grid.high if grid else None,
        seen_low=seen.low,
        seen_high=seen.high,
        saturated=seen.saturated,
        sqnr_db=seen.sqnr_db,
    )


def _feed(float_file: bytes, file: Insides, output: str, pictures: Pictures, path: Path) -> Feed:
    """Return how the file takes photos: as it says, else as its answers are nearest to float."""
    metadata = read_metadata(path)
    told = [] if metadata is None else [_told(metadata.input)]
    likely = [_as_pixels(file), *([_normalized(file)] if file.takes_real else [])]
    feeds = told or [_in_planes(file, feed) for feed in likely]
    errors = [0.0 for _ in feeds]
    exact = activations_of(float_file, pictures.inputs())
    for (pixels, value), values, _ in zip(pictures.pairs(), exact, range(_MATCHED), strict=False):
        for at, feed in enumerate(feeds):
            given = feed(pixels, value)
            _require_alike(given.shape[1:], file.source.shape[1:], "input", path)
            made = file.run(given)[file.output].reshape(-1)
            _require_alike(values[output].reshape(-1).shape, made.shape, "output", path)
            errors[at] += float(np.sum(np.square(made - values[output].reshape(-1))))
    return feeds[int(np.argmin(errors))]


def _require_alike(wanted: tuple[int, ...], found: tuple[int, ...], what: str, path: Path) -> None:
    if tuple(wanted) != tuple(found):
        raise InputError(
            f"an {what} of {list(found)} where the checkpoint's is {list(wanted)}",
            where=path,
            fix="give a file of the same network",
        )


def _told(how: FileInput) -> Feed:
    table = wiring.pixel_table(how)
    return lambda pixels, value: wiring.to_input(pixels[0], table, how.layout)


def _normalized(file: Insides) -> Feed:
    return lambda pixels, value: file.on_grid(value)


def _as_pixels(file: Insides) -> Feed:
    dtype = file.source.dtype
    return lambda pixels, value: (
        (pixels.astype(np.int16) - 128).astype(np.int8) if dtype == "int8" else pixels.astype(dtype)
    )


def _in_planes(file: Insides, feed: Feed) -> Feed:
    """Return the same, in planes where the file wants [N, C, H, W]."""
    shape = file.source.shape
    if len(shape) == 4 and shape[1] <= 4 < shape[3]:
        return lambda pixels, value: np.ascontiguousarray(feed(pixels, value).transpose(0, 3, 1, 2))
    return feed
