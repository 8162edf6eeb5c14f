"""Limits on what may become worse, and whether they hold."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, TypeAlias

from edgecnn.core.errors import InputError, unknown
from edgecnn.report.comparison import Change, Compared, Comparison
from edgecnn.report.metrics import METRICS
from edgecnn.report.subjects import Subject

Status: TypeAlias = Literal["passed", "broken", "not judged"]

_GATE = re.compile(r"\s*(\w+)\s*(:|>=|<=)\s*([0-9.]+)\s*(%|\w*)\s*")
_WHERE = "--gate"
_FORMS = "write p90:5%, median:0.2ms, memory:2MB, top1:0.5 or agreement>=99"
# No one allows a model to lose this many points; "agreement:99" means "agreement>=99".
_MOST_POINTS = 50


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gate:
    """A limit.

    Attributes:
        text: As the user wrote it.
        metric: A name in `METRICS`.
        kind: "change": how much worse it may become; "bound": how bad it may be.
        limit: In the metric's unit, or in percent of the baseline.
        percent: Whether it is in percent.
    """

    text: str
    metric: str
    kind: Literal["change", "bound"]
    limit: float
    percent: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ruling:
    """One gate on one subject; `detail` says what was seen, or why nothing could be."""

    gate: str
    subject: Subject
    status: Status
    detail: str


def parse(text: str) -> Gate:
    """Read ``METRIC:LIMIT``, ``METRIC>=BOUND`` or ``METRIC<=BOUND``.

    Raises:
        InputError: no such metric or unit, or a limit that would never do what it seems to.
    """
    found = _GATE.fullmatch(text)
    if found is None:
        raise InputError(f"the limit {text!r}", where=_WHERE, fix=_FORMS)
    name, sign, digits, unit = found.groups()
    if name not in METRICS:
        raise unknown("metric", name, METRICS, where=_WHERE)
    metric = METRICS[name]
    try:
        value = float(digits)
    except ValueError:
        raise InputError(f"the limit {text!r}", where=_WHERE, fix=_FORMS) from None
    if sign != ":":
        _check_bound(text, name, sign)
    elif metric.is_share and value > _MOST_POINTS:
        fix = f"write {name}>={digits} for a lower bound, {name}:1 for a loss of a point"
        raise InputError(f"a loss of {digits} points in {text!r}", where=_WHERE, fix=fix)
    percent = unit == "%" and not metric.is_share
    # A share is in percent anyhow: agreement>=99%. As a change it would have two meanings.
    if not percent and not (unit == "%" and sign != ":"):
        value *= _scale(text, name, unit)
    if percent and sign != ":":
        raise InputError(f"a bound in percent in {text!r}", where=_WHERE, fix=_units(name))
    kind: Literal["change", "bound"] = "change" if sign == ":" else "bound"
    return Gate(text=text.strip(), metric=name, kind=kind, limit=value, percent=percent)


def _check_bound(text: str, name: str, sign: str) -> None:
    wanted = "<=" if METRICS[name].worse > 0 else ">="
    if sign != wanted:
        fix = f"write {text.replace(sign, wanted).strip()}"
        raise InputError(f"a bound on the better side, {text!r}", where=_WHERE, fix=fix)


def _scale(text: str, name: str, unit: str) -> float:
    scales = METRICS[name].scales
    if unit not in scales:
        what = f"the unit {unit!r}" if unit else "no unit"
        raise InputError(f"{what} in {text!r}", where=_WHERE, fix=_units(name))
    return scales[unit]


def _units(name: str) -> str:
    metric = METRICS[name]
    if metric.is_share:
        return f"give points: {name}:0.5"
    return f"give {', '.join([*filter(None, metric.scales), '%'])}"


def judge(comparison: Comparison, gates: Iterable[Gate]) -> tuple[Ruling, ...]:
    """Rule on each subject that a gate's metric belongs to.

    A gate breaks only where the change for the worse is larger than its limit and the whole
    interval of the change is, too: larger than the noise.
    """
    return tuple(ruling for gate in gates for ruling in _rulings(comparison, gate))


def _rulings(comparison: Comparison, gate: Gate) -> list[Ruling]:
    rulings = []
    for row in comparison.rows:
        change = next((c for c in row.changes if c.metric == gate.metric), None)
        why = dict(row.missing).get(gate.metric)
        if change is not None and METRICS[gate.metric].timed and row.doubts:
            why = "; ".join(row.doubts)
        if why is not None:
            rulings.append(_ruling(gate, row.subject, "not judged", why))
        elif change is not None:
            rulings.append(_rule(gate, row, change))
    measured = gate.metric in ("median", "p90", "memory", "instructions")
    gone = [s for s in comparison.only_before if (s.target is not None) == measured]
    return rulings + [_ruling(gate, s, "not judged", "not in the new set") for s in gone]


def _ruling(gate: Gate, subject: Subject, status: Status, detail: str) -> Ruling:
    return Ruling(gate=gate.text, subject=subject, status=status, detail=detail)


def _rule(gate: Gate, row: Compared, change: Change) -> Ruling:
    metric = METRICS[gate.metric]
    ends = _ends(gate, change)
    if ends is None:
        return _ruling(gate, row.subject, "not judged", "the baseline is 0: no percentage")
    # Turned so that more is worse.
    value, least, _ = _turned(ends, metric.worse)
    limit = gate.limit if gate.kind == "change" else gate.limit * metric.worse
    over = value > limit and not math.isclose(value, limit, rel_tol=1e-9)
    told = _told(gate, change)
    if not over:
        return _ruling(gate, row.subject, "passed", told)
    if least <= limit:
        return _ruling(gate, row.subject, "passed", f"{told}, no larger than the noise")
    return _ruling(gate, row.subject, "broken", told)


def _turned(ends: tuple[float, float, float], worse: int) -> tuple[float, float, float]:
    """Return value, least and most, turned so that more is worse."""
    value, low, high = (worse * end for end in ends)
    return value, min(low, high), max(low, high)


def _ends(gate: Gate, change: Change) -> tuple[float, float, float] | None:
    """Return what the gate looks at with its interval; an exact value is its own."""
    value: float | None
    if gate.kind == "bound":
        value, bounds = change.after, change.after_interval
    elif gate.percent:
        value, bounds = change.change_pct, change.interval_pct
        if bounds is None and change.interval is not None:
            value = None
    else:
        value, bounds = change.change, change.interval
    if value is None:
        return None
    return (value, *(bounds or (value, value)))


def _told(gate: Gate, change: Change) -> str:
    metric = METRICS[gate.metric]
    if gate.kind == "bound":
        return metric.text(change.after) + _interval(change.after_interval, metric.text)
    if gate.percent and change.change_pct is not None:
        return f"{change.change_pct:+.2f} %" + _interval(
            change.interval_pct, lambda value: f"{value:+.2f} %"
        )
    return metric.change(change.change) + _interval(change.interval, metric.change)


def _interval(bounds: tuple[float, float] | None, text: Callable[[float], str]) -> str:
    if bounds is None:
        return ""
    return f" ({text(bounds[0])} to {text(bounds[1])})"


def broken(rulings: Sequence[Ruling]) -> list[Ruling]:
    """Return the rulings that make a build fail."""
    return [ruling for ruling in rulings if ruling.status == "broken"]


def blind(gates: Iterable[Gate], rulings: Sequence[Ruling]) -> list[Gate]:
    """Return the gates that could judge nothing at all."""
    seeing = {ruling.gate for ruling in rulings if ruling.status != "not judged"}
    return [gate for gate in gates if gate.text not in seeing]
