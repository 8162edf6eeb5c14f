"""How fast this machine computes right now: the time of a fixed piece of arithmetic.

Like `worker.py`, which takes it along, this needs Python 3.9 and numpy alone.
"""

from __future__ import annotations

import threading
import time

import numpy as np

# Sines are nothing but arithmetic, and these stay in any second-level cache: what slows them
# is the clock, or another user of the same core, which no counter of a virtual machine shows.
# On a quiet core the readings lie within 2 % of each other.
NUMBERS = 1 << 15
PASSES = 16
READINGS = 15


def pace_ms(threads: int) -> float:
    """Return what the arithmetic takes on so many cores at once; the slowest core's median."""
    together = threading.Barrier(threads)
    found: list[float] = []

    def compute() -> None:
        numbers = np.linspace(0, 1, NUMBERS, dtype=np.float32)
        sines = np.empty_like(numbers)
        own = []
        for _ in range(READINGS):
            together.wait()
            begin = time.perf_counter_ns()
            for _ in range(PASSES):
                np.sin(numbers, out=sines)
            own.append((time.perf_counter_ns() - begin) / 1e6)
        found.append(float(np.median(own)))

    cores = [threading.Thread(target=compute) for _ in range(threads)]
    for core in cores:
        core.start()
    for core in cores:
        core.join()
    return max(found)
