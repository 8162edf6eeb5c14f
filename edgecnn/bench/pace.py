"""How fast this core computes right now: the time of a fixed piece of arithmetic.

Like `worker.py`, which takes it along, this needs Python 3.9 and numpy alone.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

# Sines are nothing but arithmetic, and these stay in any second-level cache: what slows them
# is the clock, or another user of the same core, which no counter of a virtual machine shows.
# On a quiet core readings lie within 2 % of each other.
NUMBERS = 1 << 13
PASSES = 64
SECONDS_BETWEEN = 0.1
# Fewer readings say nothing about all the time between them.
MIN_READINGS = 10


class Pace:
    """Readings of the pace, taken through the time that they are to stand for."""

    def __init__(self) -> None:
        self._numbers = np.linspace(0, 1, NUMBERS, dtype=np.float32)
        self._sines: Any = np.empty_like(self._numbers)
        self._readings_ms: list[float] = []
        self._latest = time.perf_counter()

    def read_now_and_then(self) -> None:
        """Take a reading if the latest is a tenth of a second old."""
        if time.perf_counter() - self._latest >= SECONDS_BETWEEN:
            self.read()
            self._latest = time.perf_counter()

    def read(self) -> None:
        """Take a reading: a third of a millisecond on a workstation, some on a board."""
        begin = time.perf_counter_ns()
        for _ in range(PASSES):
            np.sin(self._numbers, out=self._sines)
        self._readings_ms.append((time.perf_counter_ns() - begin) / 1e6)

    @property
    def ms(self) -> float | None:
        """Their median, as a latency's: what lasts for less than half of the time is in neither."""
        if len(self._readings_ms) < MIN_READINGS:
            return None
        return float(np.median(self._readings_ms))
