"""The receptive field: which part of the image one value of a layer's output depends on.

A field is followed through the layers axis by axis of the image: a window widens it by its
reach, a stride moves the places of the output apart, a branch that sees more wins.

Source: Araujo, Norris and Sim 2019, doi:10.23915/distill.00021.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

# No honest network sees further; a forged one must not make numbers that never end.
_LIMIT = 1e9


@dataclasses.dataclass(frozen=True)
class Extent:
    """How far one value sees along one axis of the image.

    Attributes:
        size: Pixels, border included: it may be larger than the image. Behind a transposed
            convolution the last one may be seen in part.
        jump: Pixels between two neighbours of the tensor.
        axis: Axis of the tensor that runs along this axis of the image; None where the
            tensor has no place there any more (pooled over the image, flattened).
    """

    size: float = 1.0
    jump: float = 1.0
    axis: int | None = None


Field: TypeAlias = tuple[Extent, ...]
"""One extent for each axis of the image, height before width."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Window:
    """A window that slides over some axes of a tensor; one number for each axis.

    Attributes:
        kernel: Places that it covers.
        stride: Steps between two places of the output.
        dilation: Steps between two places that it covers.
        padding: "same", "valid", or the rows added at each border: "1,1,1,1".
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: str = ""


def of_image(axes: Iterable[int]) -> Field:
    """Return the field of the image itself, whose height and width are these axes."""
    return tuple(Extent(axis=axis) for axis in axes)


def through(field: Field, window: Window, axes: Sequence[int]) -> Field:
    """Return the field behind a convolution or a pooling along these axes of the tensor."""
    steps = _along(window, axes)
    return tuple(_widened(extent, *steps.get(extent.axis, (1, 1))) for extent in field)


def back_through(field: Field, window: Window, axes: Sequence[int]) -> Field:
    """Return the field behind a transposed convolution: its places lie closer together."""
    steps = _along(window, axes)
    extents = []
    for extent in field:
        reach, stride = steps.get(extent.axis, (1, 1))
        # So many places of the input fall into one place of the output, at most.
        widened = _widened(extent, -(-reach // stride), 1)
        extents.append(dataclasses.replace(widened, jump=extent.jump / stride))
    return tuple(extents)


def scaled(field: Field, before: Sequence[int], after: Sequence[int]) -> Field:
    """Return the field behind a layer that is unknown: the least that fits its shapes.

    A border that is added or cut off changes a length by less than a factor of one and a
    half, and no place's view.
    """
    if len(before) != len(after):
        return reshaped(field, before, after)
    extents = []
    for extent in field:
        old, new = _length(before, extent.axis), _length(after, extent.axis)
        shrunk, grown = _ratio(old, new), _ratio(new, old)
        narrower = _widened(extent, shrunk, shrunk)
        extents.append(dataclasses.replace(narrower, jump=narrower.jump / grown))
    return tuple(extents)


def pooled(field: Field, shape: Sequence[int], axes: Iterable[int]) -> Field:
    """Return the field behind what gathers all places along these axes of a tensor."""
    gathered = set(axes)
    return tuple(
        dataclasses.replace(_widened(extent, _length(shape, extent.axis), 1), axis=None)
        if extent.axis is not None and extent.axis in gathered
        else extent
        for extent in field
    )


def reduced(
    field: Field, before: Sequence[int], after: Sequence[int], axes: Iterable[int]
) -> Field:
    """Return the field behind a mean or sum over these axes, which go unless they are kept."""
    gone = {axis % len(before) for axis in axes} if before else set()
    field = pooled(field, before, gone)
    if len(after) == len(before):
        return field
    return permuted(field, [axis for axis in range(len(before)) if axis not in gone])


def permuted(field: Field, order: Sequence[int]) -> Field:
    """Return the field behind a transposition: axis ``order[i]`` becomes axis i."""
    places = {old: new for new, old in enumerate(order)}
    return tuple(
        dataclasses.replace(extent, axis=None if extent.axis is None else places.get(extent.axis))
        for extent in field
    )


def reshaped(field: Field, before: Sequence[int], after: Sequence[int]) -> Field:
    """Return the field behind a reshape: axes of length 1 come and go, others are gathered."""
    old = [axis for axis, length in enumerate(before) if length != 1]
    new = [axis for axis, length in enumerate(after) if length != 1]
    if [before[axis] for axis in old] == [after[axis] for axis in new]:
        return permuted(field, _order(dict(zip(new, old, strict=True)), len(after)))
    # What comes before the first difference keeps its place.
    same = 0
    while same < min(len(before), len(after)) and before[same] == after[same]:
        same += 1
    return pooled(field, before, range(same, len(before)))


def merged(fields: Sequence[Field]) -> Field:
    """Return the field of what depends on several tensors: along each axis the widest."""
    if not fields:
        return ()
    longest = max(map(len, fields))
    return tuple(_widest([f[axis] for f in fields if axis < len(f)]) for axis in range(longest))


def sizes(field: Field) -> tuple[int, ...]:
    """Return the pixels along each axis of the image."""
    return tuple(math.ceil(extent.size) for extent in field)


def _along(window: Window, axes: Sequence[int]) -> dict[int | None, tuple[int, int]]:
    """Return reach and stride along each axis."""
    numbers = zip(axes, window.kernel, window.stride, window.dilation, strict=True)
    return {
        axis: (1 + max(kernel - 1, 0) * max(dilation, 1), max(stride, 1))
        for axis, kernel, stride, dilation in numbers
    }


def _order(places: Mapping[int, int], rank: int) -> list[int]:
    return [places.get(axis, -1) for axis in range(rank)]


def _length(shape: Sequence[int], axis: int | None) -> int:
    return shape[axis] if axis is not None and axis < len(shape) else 1


def _ratio(large: int, small: int) -> int:
    return max(round(large / small), 1) if small > 0 else 1


def _widest(extents: Sequence[Extent]) -> Extent:
    # A gate that was pooled over the image has no place: the others give it.
    there = [extent for extent in extents if extent.axis is not None] or list(extents)
    place = max(there, key=lambda extent: extent.jump)
    return dataclasses.replace(place, size=max(extent.size for extent in extents))


def _widened(extent: Extent, reach: int, stride: int) -> Extent:
    size = extent.size + (max(reach, 1) - 1) * extent.jump
    jump = extent.jump * max(stride, 1)
    return dataclasses.replace(extent, size=min(size, _LIMIT), jump=min(jump, _LIMIT))
