"""The ladder of int8: as little precision as keeps the answers within a budget.

Each rung costs more than the one before it, in making the file or in running it. The
first that keeps the drop of accuracy within the budget is taken.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from edgecnn.core import files, schema
from edgecnn.core.errors import CheckFailed, InputError, Interrupted
from edgecnn.core.progress import say
from edgecnn.quantize.plan import Plan

LADDER_FILE = "ladder.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rung:
    """One way to quantize, tried.

    Attributes:
        name: What it does.
        drop_points: Top-1 lost against float; without labels, the share of answers that
            changed. The worst of the formats.
        agreement_pct: Of the answers with the float ones, the worst of the formats.
        bytes: Of the smallest file.
        latency_ms: Median of a few runs on this machine, of the fastest file.
        float_latency_ms: Of the float file, measured between them.
    """

    name: str
    drop_points: float
    agreement_pct: float
    bytes: int
    latency_ms: float
    float_latency_ms: float

    def to_text(self) -> str:
        """Return the rung's line: what it gained and what it costs."""
        share = self.latency_ms / self.float_latency_ms
        return (
            f"{self.name}: drop {self.drop_points:+.2f} points, {self.agreement_pct:.2f} % of the "
            f"answers as in float, {self.bytes / 1e6:.2f} MB, {share:.2f} of float's latency"
        )


@dataclasses.dataclass(frozen=True)
class Climb:
    """What came of it.

    Attributes:
        rungs: Those tried, in order.
        best: The one to write.
        reached: Whether it is within the budget.
    """

    rungs: tuple[Rung, ...]
    best: Rung
    reached: bool


def climb(
    plans: Iterator[tuple[str, Callable[[], Plan]]],
    judge: Callable[[str, Plan], Rung],
    *,
    limit_points: float,
    record: Path,
    key: str,
    compared: int = 0,
) -> tuple[Climb, Plan]:
    """Try rung after rung until one is within the budget; one that can't be made is left out.

    Args:
        plans: Name of each rung and what makes its plan, the cheapest first.
        judge: Measures a plan's files.
        limit_points: The budget.
        record: File of the rungs measured, so that an interrupted search goes on.
        key: What was measured with what: another one begins anew.
        compared: So many first rungs only show what the next one gains: it doesn't end there.

    Returns:
        What came of it, and the best rung's plan.

    Raises:
        InputError: the record is damaged or can't be written, or not even the first rung can
            be made.
        Interrupted: Ctrl-C; the rungs measured so far are in the record.
    """
    known = _recorded(record, key)
    tried: list[Rung] = []
    best: tuple[Rung, Callable[[], Plan]] | None = None
    made: dict[str, Plan] = {}
    for place, (name, make) in enumerate(plans):
        rung = known.get(name)
        if rung is None:
            try:
                with _kept(known):
                    made = {name: make()}
                    rung = known[name] = judge(name, made[name])
            except (InputError, CheckFailed) as error:
                if best is None:
                    raise
                say(f"note: {name} is left out: {error}")
                continue
            files.write_text(record, schema.dumps(Record(key=key, rungs=tuple(known.values()))))
        say(f"rung {len(tried) + 1}, {rung.to_text()}")
        tried.append(rung)
        if best is None or rung.drop_points <= limit_points or _order(rung) < _order(best[0]):
            best = rung, make
        if place >= compared and best[0].drop_points <= limit_points:
            break
    if best is None:
        raise ValueError("a ladder without rungs")
    chosen, make = best
    with _kept(known):
        plan = made[chosen.name] if chosen.name in made else make()
    reached = chosen.drop_points <= limit_points
    return Climb(tuple(tried), chosen, reached), plan


@contextlib.contextmanager
def _kept(known: Mapping[str, Rung]) -> Iterator[None]:
    """Say at Ctrl-C that what was measured is kept."""
    try:
        yield
    except KeyboardInterrupt:
        count = f"{len(known)} rung{'s' if len(known) != 1 else ''}"
        told = f"{count} measured and kept: type the same command to go on"
        raise Interrupted(told if known else "type the same command to begin again") from None


def _order(rung: Rung) -> tuple[float, float]:
    return rung.drop_points, -rung.agreement_pct


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """Rungs measured so far, and what of: another key begins anew."""

    SCHEMA: ClassVar[str] = "edgecnn/ladder/1"

    key: str
    rungs: tuple[Rung, ...]


def rungs_tried(folder: Path) -> tuple[Rung, ...]:
    """Return the rungs that were measured for an export's folder."""
    return schema.read(Record, folder / LADDER_FILE).rungs


def _recorded(path: Path, key: str) -> dict[str, Rung]:
    """Return the rungs measured before an interruption; none where they are of something else."""
    if not path.is_file():
        return {}
    try:
        record = schema.read(Record, path)
    except InputError as error:
        raise InputError(error.what, where=path, fix="remove it: the search begins anew") from error
    return {rung.name: rung for rung in record.rungs} if record.key == key else {}
