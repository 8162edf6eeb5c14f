"""What the activations of a float network do on calibration photos, in bounded memory."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn.core.errors import InputError
from edgecnn.quantize.histogram import Histogram
from edgecnn.quantize.ranges import COUNTING, Method, Spread

Array: TypeAlias = npt.NDArray[Any]

# Values of one tensor of one photo that a histogram counts: enough for its tails over a
# few photos, and a fraction of the network's own time.
SAMPLED = 8192
# So many photos are looked at closely: all their values count for extremes and means. A pass
# over all values takes a third of the network's own time, and a mean over 256 photos has a
# standard error of a 16th of their deviation: of further photos fewer values are looked at.
CLOSELY = 256
SAMPLED_LATER = 2048
_RUN = 16
# Each earlier spread has at least so many times the photos of the one before.
_SPACING = 1.25
# Of three networks on photos a fifth to a tenth of the tensors change so much between 8 and 16
# photos, up to an eighth between 16 and 32, and fewer than a tenth from 32 to 64 on.
_CHANGED = 0.1
_CHANGED_TENSORS = 0.1


@dataclasses.dataclass
class Observed:
    """One tensor over all photos so far.

    Attributes:
        spread: Of its values; where the method counts values, beyond 256 photos of a sample.
        total: Sum over the first 256 photos, float32, the tensor's own shape.
        method: How its range is chosen where nobody says otherwise.
        earlier: The spread after fewer photos: half of them, or up to a fifth less, and more.
    """

    spread: Spread
    total: Array
    method: Method = "minmax"
    earlier: list[Spread] = dataclasses.field(default_factory=list)

    @property
    def low(self) -> float:
        """Smallest value."""
        return self.spread.low

    @property
    def high(self) -> float:
        """Largest value."""
        return self.spread.high

    @property
    def photos(self) -> int:
        """Number of photos."""
        return self.spread.photos

    @property
    def mean(self) -> Array:
        """The mean over up to 256 photos, position by position: float32, the tensor's own shape."""
        return self.total / np.float32(min(self.photos, CLOSELY))

    def range(self, method: Method | None = None) -> tuple[float, float]:
        """Return the range that integers are to stand for; it includes zero.

        Raises:
            ValueError: a method that needs a histogram, and none was kept.
        """
        return self.spread.range(method or self.method)

    def add(self, value: Array) -> None:
        """Take in one photo's values.

        Raises:
            ValueError: a value that is not a number, or infinite.
        """
        closely = self.photos < CLOSELY
        values = counted = value
        if self.spread.histogram is not None:
            counted = sample(value, SAMPLED if closely else SAMPLED_LATER)
            values = value if closely else counted
        self.spread.add(values, counted)
        if closely:
            self.total += value
        if not self.earlier or self.photos >= _SPACING * self.earlier[-1].photos:
            self.earlier.append(self.spread.copy())
        while len(self.earlier) > 1 and 2 * self.earlier[1].photos <= self.photos:
            del self.earlier[0]

    def change(self) -> float:
        """Return by which share of its width the range changed after the first half, 0..1.

        It is 1 for a single photo. A range that shrank has not settled either.
        """
        if self.photos < 2:
            return 1.0
        (low, high), (was_low, was_high) = self.range(), self.earlier[0].range(self.method)
        change = abs(was_low - low) + abs(high - was_high)
        return min(change / (high - low), 1.0) if high > low else 0.0


class Observer:
    """Keeps spread and mean of named tensors; memory is one copy of each tensor.

    A histogram is kept only where the method needs one. The order of up to 256 photos makes
    no difference to any range, but for the rounding of a sum.

    Attributes:
        tensors: What was seen of each, by name.
    """

    def __init__(self, method: Method = "minmax") -> None:
        self.method = method
        self.tensors: dict[str, Observed] = {}

    def add(self, values: Mapping[str, Array]) -> None:
        """Take in the tensors of one photo.

        Raises:
            InputError: a value that is not a number, or infinite.
        """
        for name, value in values.items():
            seen = self.tensors.get(name)
            if seen is None:
                seen = self.tensors[name] = self._first(value)
            try:
                seen.add(value)
            except ValueError as error:
                where = f"the network's tensor {name}"
                fix = "train it again: the float network itself computes them"
                raise InputError(str(error), where=where, fix=fix) from error

    def _first(self, value: Array) -> Observed:
        histogram = Histogram() if self.method in COUNTING else None
        return Observed(Spread(histogram=histogram), np.zeros(value.shape, np.float32), self.method)


def settling_warning(observed: Mapping[str, Observed]) -> str | None:
    """Say that more photos would give other ranges, or nothing where they hardly would.

    Args:
        observed: The tensors of one network, by name.
    """
    changed = sum(tensor.change() > _CHANGED for tensor in observed.values())
    if changed <= _CHANGED_TENSORS * len(observed):
        return None
    photos = max(tensor.photos for tensor in observed.values())
    if photos == 1:
        return "ranges from a single photo: take 100 or more"
    return (
        f"ranges have not settled: those of {changed} of {len(observed)} tensors changed by more "
        f"than a tenth after the first half of {photos} photos; take more"
    )


def sample(value: Array, most: int = SAMPLED) -> Array:
    """Return values of a tensor at even distances, the same places in each photo.

    They are taken in short runs, since memory gives a whole line of them at once. The
    distance shares no divisor with the tensor's size, so that all channels, rows and
    columns are met alike.

    Args:
        value: Any shape.
        most: Return at most so many, a multiple of 16.

    Returns:
        [n], in the order of the tensor.
    """
    flat = value.reshape(-1)
    if len(flat) <= most:
        return flat
    runs = flat[: len(flat) // _RUN * _RUN].reshape(-1, _RUN)
    step = -(-len(runs) // (most // _RUN))
    while math.gcd(step, len(flat)) != 1:
        step += 1
    return runs[::step].reshape(-1)
