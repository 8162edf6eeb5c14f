"""The Pareto front on the terminal, and what came of a budget in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgecnn.core.measurement import MIN_RUNS_P90
from edgecnn.report import units
from edgecnn.report.pareto import CLOSE_POINTS, Budget, Candidate, Choice, Limit
from edgecnn.report.text import new_table, plain_text


def front_table(choice: Choice) -> Any:
    """Return one line a member of the front, the winner marked, and the winner in any case."""
    shown = list(choice.front)
    if choice.winner is not None and choice.winner not in shown:
        shown.append(choice.winner)
    table = new_table(
        *("", "file", "runtime", ">threads", f">{cost_name(shown)}", ">p90"),
        *(f">{memory_name(shown)}", ">size", ">top-1", ">drop"),
    )
    for one in shown:
        row = one.row
        p90 = row.latency_ms and row.latency_ms.runs >= MIN_RUNS_P90
        table.add_row(
            "→" if one is choice.winner else "",
            plain_text(row.model),
            plain_text(row.runtime),
            str(row.threads),
            cost_text(one),
            units.milliseconds(row.latency_ms.percentile(0.9) if row.latency_ms and p90 else None),
            units.megabytes(one.memory_mb),
            units.bytes_(row.bytes),
            f"{units.share(one.accuracy.top1)} of {one.accuracy.n:,}",
            units.points(one.drop_points),
        )
    return table


def cost_name(shown: Sequence[Candidate]) -> str:
    """Name what a row costs: a prediction and a count are never called a latency."""
    if any(c.row.predicted_ms for c in shown):
        return "predicted"
    if any(c.row.latency_ms is None and c.row.instructions is not None for c in shown):
        return "instructions"
    return "median"


def memory_name(shown: Sequence[Candidate]) -> str:
    """Name what a row takes: nobody predicts a process."""
    return "arena" if any(c.row.predicted_ms for c in shown) else "peak memory"


def cost_text(one: Candidate) -> str:
    """Return what a row costs with its unit; a prediction with its range."""
    row = one.row
    if row.predicted_ms is not None:
        low, high = row.predicted_ms.low, row.predicted_ms.high
        return f"{units.milliseconds(one.cost)} ({low:.3g} to {high:.3g})"
    if row.latency_ms is None:
        return units.count(row.instructions)
    return units.milliseconds(one.cost)


def verdict(choice: Choice, budget: Budget, *, tried: int) -> list[str]:
    """Say what to take and why, or that nothing fits and what came nearest.

    Args:
        choice: What came of the search.
        budget: What a file may cost.
        tried: Rows that were measured.
    """
    limits = _limits(budget)
    if choice.winner is not None:
        within = f", within {limits}" if limits else ""
        lines = [f"take {choice.winner.setting}: {_rule(choice.winner, budget)}{within}"]
    elif choice.nearest is not None:
        missed = " and ".join(_missed(choice.nearest, budget, name) for name in choice.overruns)
        lines = [
            f"nothing fits {limits}: none of {units.plural(tried, 'row')}",
            f"nearest: {choice.nearest.setting}: {missed}",
        ]
    else:
        lines = ["nothing could be measured"]
    return [*lines, *_doubts(choice, budget)]


def unmeasured(candidates: Sequence[Candidate]) -> list[str]:
    """Say which rows have nothing to compare, and why: one line a reason."""
    reasons: dict[str, list[str]] = {}
    for one in candidates:
        if one.cost is None:
            why = "; ".join(one.row.invalid_reasons)
            reasons.setdefault(why, []).append(one.setting)
    return [
        f"not measured: {some[0]}{f' and {len(some) - 1} more' if len(some) > 1 else ''}: {why}"
        for why, some in reasons.items()
    ]


def _rule(winner: Candidate, budget: Budget) -> str:
    what = "the fewest instructions" if cost_name([winner]) == "instructions" else "the fastest"
    if budget.drop_points is not None:
        return what
    return f"{what} at the best accuracy but {CLOSE_POINTS:g} points"


def _limits(budget: Budget) -> str:
    found = []
    if budget.latency_ms is not None:
        found.append(units.milliseconds(budget.latency_ms))
    if budget.instructions is not None:
        found.append(f"{units.count(budget.instructions)} instructions")
    if budget.memory_mb is not None:
        found.append(units.megabytes(budget.memory_mb))
    if budget.drop_points is not None:
        found.append(f"a drop of {budget.drop_points:g} points")
    return ", ".join(found)


def _missed(one: Candidate, budget: Budget, limit: Limit) -> str:
    match limit:
        case "latency":
            return f"{cost_text(one)} where {units.milliseconds(budget.latency_ms)} are allowed"
        case "instructions":
            return f"{cost_text(one)} instructions where {units.count(budget.instructions)} are"
        case "memory":
            took, limit_mb = units.megabytes(one.memory_mb), units.megabytes(budget.memory_mb)
            return f"{took} of memory where {limit_mb} are allowed"
    return f"{one.drop_points:.2f} points lost where {budget.drop_points:g} are allowed"


def _doubts(choice: Choice, budget: Budget) -> list[str]:
    """Say what a reader must know before relying on it."""
    taken = choice.winner or choice.nearest
    if taken is None:
        return []
    found = []
    if not choice.trusted:
        reason = "; ".join(taken.row.doubts)
        found.append(f"no row can be trusted ({reason}): the same command measures them again")
    photo = 100 / taken.accuracy.n
    if budget.drop_points is not None and photo > budget.drop_points:
        found.append(
            f"one photo of {taken.accuracy.n:,} is {photo:.2f} points, more than the drop allowed: "
            "judge on more photos with --data"
        )
    guess = taken.row.predicted_ms
    if guess and budget.latency_ms is not None and guess.mid <= budget.latency_ms < guess.high:
        found.append(
            f"a prediction, whose range reaches to {units.milliseconds(guess.high)}: "
            "measure on the board"
        )
    elif taken.row.prediction is not None:
        found.append(taken.row.prediction.sentence)
    return [f"note: {line}" for line in found]
