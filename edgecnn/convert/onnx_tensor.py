"""A tensor of an ONNX graph as TensorFlow holds it: its axes in whichever order is cheap.

ONNX has channels first, TensorFlow's kernels have them last. So a tensor carries the order of
its axes with it: a Transpose only renames them, and one that is really needed is made where
an operation wants its axes in a certain order.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy.typing as npt
import tensorflow as tf

Array: TypeAlias = npt.NDArray[Any]
Axes: TypeAlias = tuple[int, ...]

LAST: Axes = (0, 2, 3, 1)
"""The order of an image whose channels TensorFlow has last."""


@dataclasses.dataclass(frozen=True, eq=False)
class Tensor:
    """A computed tensor.

    Attributes:
        held: TensorFlow's tensor.
        order: The ONNX axis that each of its axes is.
        is_positive: No value is below zero.
    """

    held: Any
    order: Axes
    is_positive: bool = False

    @property
    def shape(self) -> Axes:
        """Sizes in ONNX's order of axes."""
        held = self.held.shape.as_list()
        return tuple(held[self.order.index(axis)] for axis in range(len(held)))

    def place(self, axis: int) -> int:
        """Return which of the held axes an axis of ONNX's is."""
        return self.order.index(axis % len(self.order))

    def like(self, held: Any, *, is_positive: bool = False) -> Tensor:
        """Return another tensor of the same order."""
        return Tensor(held, self.order, is_positive)

    def ordered(self, order: Axes) -> Tensor:
        """Return the same with its axes held in a certain order."""
        moved = tuple(self.order.index(axis) for axis in order)
        return Tensor(_transposed(self.held, moved), order, self.is_positive)

    def plain(self) -> Any:
        """Return TensorFlow's tensor with its axes as ONNX has them."""
        return self.ordered(tuple(range(len(self.order)))).held

    def transposed(self, permutation: Sequence[int]) -> Tensor:
        """Return ONNX's Transpose of it: only names change."""
        order = tuple(list(permutation).index(axis) for axis in self.order)
        return Tensor(self.held, order, self.is_positive)

    def reshaped(self, shape: Sequence[int]) -> Tensor:
        """Return ONNX's Reshape of it: axes that are split or merged stay where they are."""
        groups = _groups(self.shape, tuple(shape))
        groups = sorted(groups, key=lambda group: self._first_place(group[0]))
        before = tuple(axis for old, _ in groups for axis in old)
        after = tuple(axis for _, new in groups for axis in new)
        held = self.ordered(before).held
        if held.shape.as_list() != [shape[axis] for axis in after]:
            held = tf.reshape(held, [shape[axis] for axis in after])
        return Tensor(held, after, self.is_positive)

    def _first_place(self, axes: Axes) -> int:
        """Return where the largest of some axes is held; that is what is dear to move."""
        if not axes:
            return len(self.order)
        return self.place(max(axes, key=lambda axis: self.shape[axis]))


def image(held: Any) -> Tensor:
    """Return an image whose channels are held last as ONNX's, whose channels are first."""
    return Tensor(held, LAST)


def plain(held: Any, *, is_positive: bool = False) -> Tensor:
    """Return a tensor whose axes are held as ONNX has them."""
    return Tensor(held, tuple(range(held.shape.rank)), is_positive)


def spread(values: Array, order: Axes) -> Array:
    """Return a constant as it is combined with a tensor that is held in this order."""
    if values.ndim > len(order):
        raise ValueError(f"a constant of {values.ndim} axes for a tensor of {len(order)}")
    full = values.reshape((1,) * (len(order) - values.ndim) + values.shape)
    return full.reshape(1) if values.size == 1 else full.transpose(order)


def _transposed(held: Any, permutation: Axes) -> Any:
    sizes = held.shape.as_list()
    moving = [axis for axis in permutation if sizes[axis] != 1]
    if list(permutation) == sorted(permutation):
        return held
    if moving == sorted(moving):  # only axes of one move: the same numbers in the same order
        return tf.reshape(held, [sizes[axis] for axis in permutation])
    return tf.transpose(held, permutation)


def _groups(old: Axes, new: Axes) -> list[tuple[Axes, Axes]]:
    """Match axes before a reshape with those after it, in the smallest groups."""
    groups = []
    i = j = 0
    while i < len(old) or j < len(new):
        before, after = [i] if i < len(old) else [], [j] if j < len(new) else []
        i, j = i + len(before), j + len(after)
        while (a := math.prod(old[x] for x in before)) != (b := math.prod(new[x] for x in after)):
            if a < b and i < len(old):
                before.append(i)
                i += 1
            elif j < len(new):
                after.append(j)
                j += 1
            else:
                raise ValueError(f"{list(old)} can't become {list(new)}")
        groups.append((tuple(before), tuple(after)))
    return groups
