"""Which file in which setting to take: the Pareto front, a budget, and who keeps to it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

from edgecnn.core.measurement import Accuracy, Measurement
from edgecnn.report import units

Limit: TypeAlias = Literal["latency", "instructions", "memory", "drop"]

CLOSE_POINTS = 0.5
"""Without a limit on the drop, files within so many points of the best are equally good."""

# Medians of the same file differ by so much from run to run.
_AS_FAST = 1.05
# A drop of 0.4 is 0.40000000000000036 as a difference of two shares.
_ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True, kw_only=True)
class Budget:
    """What a file may cost; None: no limit.

    Attributes:
        latency_ms: Median of one inference, or the middle of its prediction.
        instructions: Of one inference, on an emulated board.
        memory_mb: Highest resident size of the process.
        drop_points: Top-1 that may be lost against the best checkpoint.
    """

    latency_ms: float | None = None
    instructions: float | None = None
    memory_mb: float | None = None
    drop_points: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Candidate:
    """One file in one setting.

    Attributes:
        row: What it costs.
        checkpoint: The name of what the file was made of.
        accuracy: What this very file reached.
        drop_points: Top-1 lost against the best checkpoint; below zero where it gained.
    """

    row: Measurement
    checkpoint: str
    accuracy: Accuracy
    drop_points: float

    @property
    def cost(self) -> float | None:
        """Milliseconds, measured or predicted, or instructions; none where nothing ran."""
        row = self.row
        if row.latency_ms is not None:
            return row.latency_ms.median
        if row.predicted_ms is not None:
            return row.predicted_ms.mid
        return None if row.instructions is None else float(row.instructions)

    @property
    def memory_mb(self) -> float | None:
        """Highest resident size; of a prediction, the planned activations."""
        if self.row.prediction is not None:
            return self.arena_mb
        return self.row.memory_mb.rss_peak if self.row.memory_mb else None

    @property
    def arena_mb(self) -> float | None:
        """Activations, as planned."""
        if self.row.prediction is not None:
            return self.row.prediction.arena_mb
        return self.row.memory_mb.arena if self.row.memory_mb else None

    @property
    def counts(self) -> bool:
        """Whether its cost can be believed as what it is: measured, predicted or counted."""
        return not self.row.doubts

    @property
    def setting(self) -> str:
        """File, runtime and threads, in words."""
        row = self.row
        return f"{row.model}, {row.runtime}, {units.plural(row.threads, 'thread')}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """What came of a search.

    Attributes:
        front: Nobody is as good in all of accuracy, cost and memory and better in one; the
            cheapest first.
        winner: What to take; none where nothing keeps to the budget.
        nearest: What came nearest to the budget; none where there is a winner, or no row.
        overruns: By which it misses each limit, relative.
        trusted: False where no row's latency could be believed, and doubtful ones stand in.
    """

    front: tuple[Candidate, ...]
    winner: Candidate | None
    nearest: Candidate | None
    overruns: dict[Limit, float]
    trusted: bool


def choose(candidates: Sequence[Candidate], budget: Budget) -> Choice:
    """Find the front, and what to take within a budget.

    Of those that keep to it: where it limits the drop, the fastest; else the fastest of those
    within `CLOSE_POINTS` of the most accurate. Among equally fast ones fewer threads count,
    then less memory.
    """
    known = [c for c in candidates if c.cost is not None]
    pool = [c for c in known if c.counts] or known
    fitting = [c for c in pool if not overruns(c, budget)]
    winner = _best(fitting, budget) if fitting else None
    nearest = None if winner or not pool else min(pool, key=lambda c: _distance(c, budget))
    return Choice(
        front=front(pool),
        winner=winner,
        nearest=nearest,
        overruns=overruns(nearest, budget) if nearest else {},
        trusted=any(c.counts for c in known),
    )


def front(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Return those that no other one dominates, the cheapest first."""
    kept = [c for c in candidates if not any(_dominates(other, c) for other in candidates)]
    return tuple(sorted(kept, key=lambda c: (_price(c), -c.accuracy.top1)))


def overruns(candidate: Candidate, budget: Budget) -> dict[Limit, float]:
    """Return by how much it misses which limits, relative; what is unknown misses by infinity.

    Points of accuracy are relative to the limit, or to one point where that is larger.
    """
    found: dict[Limit, float] = {}
    costs: dict[Limit, tuple[float | None, float | None]] = {
        "latency": (candidate.cost, budget.latency_ms),
        "instructions": (candidate.cost, budget.instructions),
        "memory": (candidate.memory_mb, budget.memory_mb),
    }
    for name, (value, limit) in costs.items():
        if limit is not None and (value is None or value > limit):
            found[name] = math.inf if value is None or not limit else value / limit - 1
    if (most := budget.drop_points) is not None:
        over = candidate.drop_points - most
        if over > _ROUNDING:
            found["drop"] = over / max(most, 1.0)
    return found


def _dominates(one: Candidate, other: Candidate) -> bool:
    a, b = _goals(one), _goals(other)
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


def _goals(candidate: Candidate) -> tuple[float, float, float]:
    memory = candidate.memory_mb
    return (
        -candidate.accuracy.top1,
        _price(candidate),
        math.inf if memory is None else memory,
    )


def _price(candidate: Candidate) -> float:
    return math.inf if candidate.cost is None else candidate.cost


def _best(fitting: Sequence[Candidate], budget: Budget) -> Candidate:
    if budget.drop_points is None:
        least = min(c.drop_points for c in fitting)
        fitting = [c for c in fitting if c.drop_points <= least + CLOSE_POINTS + _ROUNDING]
    fastest = min(map(_price, fitting))
    close = [c for c in fitting if _price(c) <= fastest * _AS_FAST]
    return min(close, key=lambda c: (c.row.threads, _goals(c)[2], _price(c)))


def _distance(candidate: Candidate, budget: Budget) -> tuple[float, float]:
    missed = overruns(candidate, budget).values()
    return max(missed), sum(missed)
