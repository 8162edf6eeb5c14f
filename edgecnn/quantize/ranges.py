"""Which range of a tensor's values its 255 integer steps are spread over.

A wide range clips nothing and rounds coarsely; a narrow one the reverse. Every range
includes zero, and one-sided values keep a one-sided range.

Sources: percentile, McKinstry et al. 2018, arXiv:1809.04191; KL divergence, Migacz 2017,
"8-bit inference with TensorRT" (GTC S7310); mean squared error, Sung et al. 2015,
arXiv:1511.06488.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from edgecnn.quantize.grid import Grid, activation_grid
from edgecnn.quantize.histogram import Histogram

Array: TypeAlias = npt.NDArray[Any]

Method: TypeAlias = Literal["minmax", "average", "percentile", "mse", "kl"]
METHODS: tuple[Method, ...] = get_args(Method)
"""Extremes of all photos, the mean photo's extremes, or from a histogram of the values:
the range that keeps 99.99 % of them, that with the least squared error, and that whose
integers tell most of the distribution."""

DEFAULT: Method = "mse"
"""Of five networks' files it moved the scores less than extremes did, with either rounding."""

COUNTING: frozenset[Method] = frozenset({"percentile", "mse", "kl"})
"""These need a histogram."""

KEPT = 0.9999
"""Share of the values within a percentile's range."""

# A side of the range is tried at these fractions of its extreme, from whole to a 16th.
_FRACTIONS = 0.94 ** np.arange(1, 46)
_ROUNDS = 3


@dataclasses.dataclass
class Spread:
    """How a tensor's values spread over all photos so far.

    Attributes:
        low: Smallest value.
        high: Largest value.
        lows: Sum of each photo's smallest value.
        highs: Sum of each photo's largest value.
        photos: Number of photos.
        histogram: Of a sample of each photo's values; None where nobody asked for it.
    """

    low: float = np.inf
    high: float = -np.inf
    lows: float = 0.0
    highs: float = 0.0
    photos: int = 0
    histogram: Histogram | None = None

    def add(self, values: Array, counted: Array | None = None) -> None:
        """Take in one photo's values.

        Args:
            values: Any shape but an empty one.
            counted: [n], those of them that a histogram counts. None: all.

        Raises:
            ValueError: a value that is not a number, or infinite.
        """
        low, high = _extremes(values)
        self.low, self.high = min(self.low, low), max(self.high, high)
        self.lows += low
        self.highs += high
        self.photos += 1
        if self.histogram is None:
            return
        if counted is None or counted is values:
            self.histogram.add(values, low, high)
        else:
            self.histogram.add(counted, *_extremes(counted))

    def copy(self) -> Spread:
        """Return one that later photos don't change."""
        return dataclasses.replace(self, histogram=self.histogram and self.histogram.copy())

    def range(self, method: Method) -> tuple[float, float]:
        """Return the lowest and the highest value that integers are to stand for.

        Raises:
            ValueError: a method that needs a histogram, and none was kept.
        """
        low, high = self.low, self.high
        if method == "average":
            low, high = self.lows / self.photos, self.highs / self.photos
        elif method in COUNTING:
            if self.histogram is None:
                raise ValueError(f"{method} ranges need a histogram, and none was kept")
            low, high = _COUNTED[method](self.histogram, min(low, 0.0), max(high, 0.0))
        return min(low, 0.0), max(high, 0.0)


def percentile_range(
    histogram: Histogram, low: float, high: float, kept: float = KEPT
) -> tuple[float, float]:
    """Return the range that holds a share of the values, cut alike on both sides.

    Args:
        histogram: Of the values.
        low: Their smallest, at most zero.
        high: Their largest, at least zero.
        kept: The share, 0..1; of one-sided values the whole cut is on their side.
    """
    cut = (1 - kept) / (2 if low < 0 < high else 1)
    below, above = histogram.quantile(cut), histogram.quantile(1 - cut)
    return max(low, min(below, 0.0)), min(high, max(above, 0.0))


def squared_error(histogram: Histogram, grid: Grid) -> float:
    """Return the mean squared error of rounding a histogram's values to a grid."""
    centres = _centres(histogram)
    error = (_levels(centres, grid) - grid.zero_point) * grid.scale - centres
    return float(histogram.counts @ (error * error)) / max(histogram.total, 1)


def divergence(histogram: Histogram, grid: Grid) -> float:
    """Return the Kullback-Leibler divergence of what a grid's integers tell of the values.

    The reference is the histogram with what the grid clips moved to its ends; against it
    stands the same without what is clipped, spread evenly within each integer step. Exact
    zeros are left out: they are no error, and their peak would outweigh all else.

    Returns:
        Nats; infinite where everything is clipped.
    """
    counts, centres = histogram.counts.astype(np.float64), _centres(histogram)
    half = grid.scale / 2
    inside = (centres >= grid.low - half) & (centres <= grid.high + half)
    used = np.flatnonzero(inside & (counts > 0))
    if not len(used):
        return np.inf if counts.any() else 0.0
    kept = counts[used]
    truth = kept.copy()
    truth[0] += counts[: used[0]].sum()
    truth[-1] += counts[used[-1] + 1 :].sum()
    levels = (_levels(centres[used], grid) + 128).astype(np.int64)
    told = (np.bincount(levels, kept) / np.maximum(np.bincount(levels), 1))[levels]
    truth, told = truth / truth.sum(), told / told.sum()
    return float((truth * np.log(truth / told)).sum())


def _least(measure: Callable[[Histogram, Grid], float]) -> Callable[..., tuple[float, float]]:
    def search(histogram: Histogram, low: float, high: float) -> tuple[float, float]:
        """Pull the ends in, one after the other, while that lowers the measure."""

        def cost(low: float, high: float) -> float:
            return measure(histogram, activation_grid(low, high))

        least = cost(low, high)
        extremes = low, high
        for _ in range(_ROUNDS):
            before = least
            highs = [(cost(low, f * extremes[1]), low, f * extremes[1]) for f in _FRACTIONS]
            least, low, high = min((least, low, high), *highs, key=_first)
            lows = [(cost(f * extremes[0], high), f * extremes[0], high) for f in _FRACTIONS]
            least, low, high = min((least, low, high), *lows, key=_first)
            if least == before or not extremes[0] < 0 < extremes[1]:
                break
        return low, high

    return search


def _first(tried: tuple[float, float, float]) -> float:
    """Return the cost alone: of equals the widest range wins, which was tried first."""
    return tried[0]


_COUNTED: dict[str, Callable[..., tuple[float, float]]] = {
    "percentile": percentile_range,
    "mse": _least(squared_error),
    "kl": _least(divergence),
}


def _extremes(values: Array) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError("values that are infinite or not a number")
    return low, high


def _centres(histogram: Histogram) -> Array:
    """Return the bins' centres, but for the outermost ones not beyond the extremes."""
    edges = histogram.edges
    return np.clip((edges[:-1] + edges[1:]) / 2, histogram.low, histogram.high)


def _levels(values: Array, grid: Grid) -> Array:
    return np.clip(np.rint(values / grid.scale) + grid.zero_point, -128, 127)
