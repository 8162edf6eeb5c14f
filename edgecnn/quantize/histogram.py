"""A streaming histogram: a fixed number of bins, however many values and photos come.

Bins are as wide as a power of two and begin at whole multiples of it, so that zero is an
edge and widening is merging neighbours: exact, and the same whatever the order of photos.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]

BINS = 4096
"""At most; at least half of them between the extremes: 8 to 16 for each integer step."""


@dataclasses.dataclass
class Histogram:
    """How often values occur, apart from exact zeros, which every integer grid hits.

    Attributes:
        low: Smallest value so far, or zero.
        high: Largest value so far, or zero.
        counts: [bins], int64, from the bin of ``low`` to that of ``high``.
        zeros: Values that are exactly zero.
    """

    low: float = 0.0
    high: float = 0.0
    counts: Array = dataclasses.field(default_factory=lambda: np.zeros(1, np.int64))
    zeros: int = 0

    @property
    def exponent(self) -> int:
        """Bins are ``2**exponent`` wide: the least at which they reach from low to high."""
        exponent = math.frexp((self.high - self.low) / BINS)[1] - 1
        while _place(self.high, exponent) - _place(self.low, exponent) >= BINS:
            exponent += 1
        return exponent

    @property
    def total(self) -> int:
        """Number of values."""
        return int(self.counts.sum()) + self.zeros

    @property
    def edges(self) -> Array:
        """Where bins begin and end, [bins + 1], float64, rising."""
        exponent = self.exponent
        places = _place(self.low, exponent) + np.arange(len(self.counts) + 1)
        return places * math.ldexp(1.0, exponent)

    def add(self, values: Array, low: float, high: float) -> None:
        """Count values.

        Args:
            values: [n], any float type, all finite.
            low: The smallest of them.
            high: The largest.
        """
        self._cover(low, high)
        exponent = self.exponent
        zeros = int(np.count_nonzero(values == 0))
        # Exact: dividing by a power of two rounds nothing.
        scaled = np.multiply(values, math.ldexp(1.0, -exponent), dtype=np.float64)
        places = np.floor(scaled, out=scaled).astype(np.int32)
        first = _place(self.low, exponent)
        places -= first
        self.counts += np.bincount(places, minlength=len(self.counts))
        self.counts[-first] -= zeros
        self.zeros += zeros

    def copy(self) -> Histogram:
        """Return one that later values don't change."""
        return dataclasses.replace(self, counts=self.counts.copy())

    def quantile(self, share: float) -> float:
        """Return the value below which this share of the values lies, spread within bins.

        Args:
            share: 0..1.
        """
        cumulative, edges = np.concatenate([[0], np.cumsum(self.counts)]), self.edges
        below = int(cumulative[np.searchsorted(edges, 0.0)])
        wanted = share * self.total
        if wanted > below:
            wanted -= self.zeros
            if wanted <= below:
                return 0.0
        place = max(int(np.searchsorted(cumulative, wanted)), 1) - 1
        if place >= len(self.counts) or not self.counts[place]:
            return float(edges[min(place, len(self.counts))])
        inside = (wanted - cumulative[place]) / self.counts[place]
        return float(edges[place] + inside * (edges[place + 1] - edges[place]))

    def _cover(self, low: float, high: float) -> None:
        """Make the bins reach to these values too, wider by a power of two where needed."""
        if low >= self.low and high <= self.high:
            return
        exponent, counts = self.exponent, self.counts
        first = _place(self.low, exponent)
        self.low, self.high = min(self.low, low), max(self.high, high)
        wider = self.exponent
        bins = _place(self.high, wider) - _place(self.low, wider) + 1
        self.counts = np.zeros(bins, np.int64)
        self._take(exponent, first, counts)

    def _take(self, exponent: int, first: int, counts: Array) -> None:
        """Add counts of bins that are as wide as these or narrower, and within their reach."""
        used = np.flatnonzero(counts)
        wider = self.exponent
        places = (first + used) >> (wider - exponent)
        np.add.at(self.counts, places - _place(self.low, wider), counts[used])


def _place(value: float, exponent: int) -> int:
    return math.floor(math.ldexp(value, -exponent))
