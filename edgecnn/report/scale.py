"""Axes: numbers to places on paper, with round tick marks."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable

# From this ratio of largest to smallest value on, small values would lie on top of each other.
_LOG_FROM = 12.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scale:
    """One axis.

    Attributes:
        low: Value at `start`; likewise high at `end`.
        start: Place on paper; `end` may be smaller (upwards).
        log: Equal steps are equal ratios.
        ticks: Values that get a mark.
    """

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the place of a value; outside values stay at the border."""
        low, high, at = self.low, self.high, min(max(value, self.low), self.high)
        if self.log:
            low, high, at = math.log(low), math.log(high), math.log(at)
        return round(self.start + (self.end - self.start) * (at - low) / (high - low), 2)


def from_zero(values: Iterable[float], *, start: float, end: float, ticks: int = 5) -> Scale:
    """Make an axis for sizes: from 0, or in equal ratios where the values differ much."""
    values = [value for value in values if value > 0] or [1.0]
    if max(values) / min(values) >= _LOG_FROM:
        return _logarithmic(min(values), max(values), start, end)
    step = _round_step(max(values) / ticks)
    high = step * math.ceil(max(values) * 1.04 / step)
    marks = tuple(step * i for i in range(round(high / step) + 1))
    return Scale(low=0.0, high=high, start=start, end=end, ticks=marks)


def around(
    values: Iterable[float],
    *,
    start: float,
    end: float,
    within: tuple[float, float],
    ticks: int = 5,
) -> Scale:
    """Make an axis that shows differences: around the values, never beyond the bounds."""
    values = list(values) or list(within)
    middle, half = (max(values) + min(values)) / 2, (max(values) - min(values)) / 2
    least = 0.01 * (within[1] - within[0])
    half = max(half * 1.15, least)
    low, high = max(within[0], middle - half), min(within[1], middle + half)
    step = _round_step((high - low) / ticks)
    first = math.ceil(low / step - 1e-9)
    marks = tuple(step * i for i in range(first, math.floor(high / step + 1e-9) + 1))
    return Scale(low=low, high=high, start=start, end=end, ticks=marks)


def tick_format(ticks: tuple[float, ...]) -> Callable[[float], str]:
    """Return the formatter with as many decimals as the closest ticks need."""
    gap = min((b - a for a, b in itertools.pairwise(ticks)), default=1.0)
    decimals = next((d for d in range(9) if abs(round(gap, d) - gap) < 1e-6 * gap), 9)
    return lambda value: f"{value:.{decimals}f}"


def _logarithmic(low: float, high: float, start: float, end: float) -> Scale:
    low, high = low / 1.25, high * 1.25
    marks = [
        digit * 10.0**power
        for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for digit in ((1, 2, 5) if high / low < 300 else (1,))
    ]
    ticks = tuple(mark for mark in marks if low <= mark <= high)
    return Scale(low=low, high=high, start=start, end=end, ticks=ticks, log=True)


def _round_step(step: float) -> float:
    """Return the next of 1, 2, 2.5, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * nice for nice in (1, 2, 2.5, 5, 10) if power * nice >= step * (1 - 1e-9))
