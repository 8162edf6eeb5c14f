"""How far a number would move if it were measured again: seeded bootstrap replicates.

Sources: Efron 1979, "Bootstrap methods: another look at the jackknife" (the percentile interval);
Künsch 1989, "The jackknife and the bootstrap for general stationary observations" (blocks);
Davison and Hinkley 1997, section 3.8 (runs first, then what is within a run);
Brown, Cai and DasGupta 2001, "Interval estimation for a binomial proportion" (Jeffreys' prior).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

REPLICATES = 2_000
"""More make the ends of the interval steadier, not narrower."""

SEED = 0
CONFIDENCE = 0.95
# Of longer runs so many samples are drawn: the interval is a little wider, never narrower.
_MOST_DRAWN = 4_096

Replicates: TypeAlias = npt.NDArray[np.float64]
"""[REPLICATES]: the same statistic of as many repetitions of the experiment."""


def quantiles(
    runs: Sequence[Sequence[float]], shares: Sequence[float], rng: np.random.Generator
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Estimate quantiles of one or several runs.

    Neighbouring samples resemble each other (clock, caches, other processes), so blocks of
    them are drawn, as long as the cube root of their number. With several runs the estimate
    is the median of the runs' own, and runs are drawn first: a file differs more from one
    process to the next than within one.

    Args:
        runs: Samples in the order of their taking, one or more a run.
        shares: Within 0..1.
        rng: Makes it repeatable.

    Returns:
        The estimates [shares], and their replicates [shares, REPLICATES].
    """
    single = np.stack([np.quantile(np.asarray(run), shares) for run in runs])
    drawn = np.stack([_within(np.asarray(run, np.float32), shares, rng) for run in runs])
    if len(runs) == 1:
        return single[0], drawn[0]
    which = rng.integers(len(runs), size=(REPLICATES, len(runs)))
    column = rng.integers(REPLICATES, size=which.shape)
    replicates = np.median(drawn[which, :, column], axis=1)
    return np.median(single, axis=0), replicates.T


def _within(
    samples: npt.NDArray[np.float32], shares: Sequence[float], rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return [shares, REPLICATES] quantiles of samples drawn by circular blocks."""
    length = max(1, round(len(samples) ** (1 / 3)))
    count = math.ceil(min(len(samples), _MOST_DRAWN) / length)
    found = np.empty((len(shares), REPLICATES))
    within = np.arange(length)
    for start in range(0, REPLICATES, 250):  # 250 x 4,096 samples stay in the cache
        rows = slice(start, start + 250)
        size = len(found[0, rows])
        first = rng.integers(len(samples), size=(size, count, 1))
        drawn = samples[(first + within) % len(samples)].reshape(size, -1)
        found[:, rows] = np.quantile(drawn, shares, axis=1, overwrite_input=True)
    return found


def values(runs: Sequence[float], rng: np.random.Generator) -> tuple[float, Replicates | None]:
    """Return the median of one value a run, and its replicates; none of a single run."""
    if len(runs) == 1:
        return runs[0], None
    drawn = rng.choice(np.asarray(runs), size=(REPLICATES, len(runs)))
    return float(np.median(runs)), np.median(drawn, axis=1)


def share(value: float, n: int, rng: np.random.Generator) -> Replicates:
    """Draw shares 0..1 that n other photos would give.

    Drawn from Jeffreys' posterior, which covers as it should where resampling the photos
    fails: at 0 and 1 every resample is the same.
    """
    right = min(1.0, max(0.0, value)) * n
    return rng.beta(right + 0.5, n - right + 0.5, REPLICATES)


def paired(gained: int, lost: int, n: int, rng: np.random.Generator) -> Replicates:
    """Draw changes of a share, of n photos that two files both answered.

    Args:
        gained: Photos that only the second has right.
        lost: Photos that only the first has right.
        n: All photos.
        rng: Makes it repeatable.
    """
    drawn = rng.multinomial(n, (gained / n, lost / n, (n - gained - lost) / n), REPLICATES)
    return (drawn[:, 0] - drawn[:, 1]) / n


def interval(replicates: Replicates) -> tuple[float, float]:
    """Return the bounds that hold CONFIDENCE of the replicates."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(replicates, (tail, 1 - tail))
    return float(low), float(high)
