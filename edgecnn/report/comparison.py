"""Two result sets to what changed between them, with its uncertainty."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from edgecnn.core.measurement import MIN_RUNS_P90
from edgecnn.report import bootstrap, estimates
from edgecnn.report.bootstrap import Replicates
from edgecnn.report.collect import Collected
from edgecnn.report.estimates import Estimate
from edgecnn.report.metrics import METRICS
from edgecnn.report.subjects import Found, Subject, subjects


@dataclasses.dataclass(frozen=True, kw_only=True)
class Change:
    """One metric of one subject, before and after.

    Attributes:
        metric: A name in `METRICS`, which has the unit.
        change: After minus before.
        change_pct: Of what it was before; none where that was 0.
        interval: Bounds of the change that hold in 95 of 100 repetitions; none for what is
            exact (size, instructions) and where one run tells nothing of the next (memory).
        interval_pct: Likewise of `change_pct`.
        after_interval: Likewise of `after`.
        basis: What the interval is made of.
    """

    metric: str
    before: float
    after: float
    change: float
    change_pct: float | None
    interval: tuple[float, float] | None
    interval_pct: tuple[float, float] | None
    after_interval: tuple[float, float] | None
    basis: str

    @property
    def verdict(self) -> str:
        """Return "better", "worse", "same", or "noise" for a change no larger than that."""
        if self.change == 0:
            return "same"
        if self.interval is not None and self.interval[0] <= 0 <= self.interval[1]:
            return "noise"
        return "worse" if self.change * METRICS[self.metric].worse > 0 else "better"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compared:
    """One subject that both sets have.

    Attributes:
        same_file: Not a byte of the file changed.
        doubts: Why latencies of these two can't be compared; empty where they can.
        missing: Metrics that only one of the two has, with the reason.
        notes: What else changed beside the file.
    """

    subject: Subject
    same_file: bool
    changes: tuple[Change, ...]
    doubts: tuple[str, ...]
    missing: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """All that changed.

    Attributes:
        only_before: Subjects without a counterpart in the new set; likewise `only_after`.
    """

    SCHEMA: ClassVar[str] = "edgecnn/comparison/1"

    baseline: str
    new: str
    rows: tuple[Compared, ...]
    only_before: tuple[Subject, ...]
    only_after: tuple[Subject, ...]


def compare(
    before: Collected, after: Collected, *, baseline: str = "BASELINE", new: str = "NEW"
) -> Comparison:
    """Match two result sets and say what changed.

    The same two sets give the same intervals: the draws are seeded.

    Raises:
        InputError: a set has two different files of one name.
    """
    old, now = subjects(before, where=baseline), subjects(after, where=new)
    rng = np.random.default_rng(bootstrap.SEED)
    return Comparison(
        baseline=baseline,
        new=new,
        rows=tuple(_compared(s, old[s], now[s], rng) for s in sorted(old.keys() & now, key=_key)),
        only_before=tuple(sorted(old.keys() - now, key=_key)),
        only_after=tuple(sorted(now.keys() - old, key=_key)),
    )


def _key(subject: Subject) -> tuple[str, ...]:
    threads = f"{subject.threads or 0:04}"
    return (subject.file, subject.target or "", subject.runtime or "", threads, subject.variant)


def _compared(subject: Subject, old: Found, now: Found, rng: np.random.Generator) -> Compared:
    doubts: tuple[str, ...] = ()
    if subject.target is None:
        changes, missing = _of_file(old, now, rng)
        notes = _other_photos(old, now)
    else:
        changes, missing = _of_setting(old, now, rng)
        doubts, notes = _doubts(old, now), _other_runtime(old, now)
    return Compared(
        subject=subject,
        same_file=old.sha256 == now.sha256,
        changes=tuple(changes),
        doubts=doubts,
        missing=tuple(missing),
        notes=notes,
    )


_Told = tuple[list[Change], list[tuple[str, str]]]


def _of_file(old: Found, now: Found, rng: np.random.Generator) -> _Told:
    """Compare what a file has wherever it runs."""
    pair = estimates.same_photos(old.judged, now.judged)
    changes: list[Change] = []
    missing: list[tuple[str, str]] = []
    for name in ("top1", "agreement"):
        ends = estimates.share(name, old, rng), estimates.share(name, now, rng)
        changes += _change(name, *ends, paired=pair and estimates.paired(name, *pair, rng))
        missing += _missing(name, *ends)
    sizes = estimates.exact(old.bytes), estimates.exact(now.bytes)
    return changes + _change("size", *sizes), missing + _missing("size", *sizes)


def _of_setting(old: Found, now: Found, rng: np.random.Generator) -> _Told:
    """Compare what depends on where a file runs."""
    times = estimates.times(old.counted, rng), estimates.times(now.counted, rng)
    names = "median", "p90", "memory", "instructions"
    ends = [
        *((times[0].get(name), times[1].get(name)) for name in names[:2]),
        (estimates.memory(old.counted, rng), estimates.memory(now.counted, rng)),
        (estimates.instructions(old.counted), estimates.instructions(now.counted)),
    ]
    changes, missing = [], []
    for name, (first, second) in zip(names, ends, strict=True):
        changes += _change(name, first, second)
        missing += _missing(name, first, second)
    return changes, missing


def _change(
    name: str,
    old: Estimate | None,
    now: Estimate | None,
    *,
    paired: tuple[Replicates, str] | None = None,
) -> list[Change]:
    if old is None or now is None:
        return []
    drawn: npt.NDArray[np.float64] | None = None
    base: Replicates | float = old.value
    if paired is not None:
        drawn = paired[0]
    elif old.replicates is not None and now.replicates is not None:
        drawn, base = now.replicates - old.replicates, old.replicates
    ratio = drawn is not None and old.value > 0 and bool(np.all(np.asarray(base) > 0))
    change = Change(
        metric=name,
        before=old.value,
        after=now.value,
        change=now.value - old.value,
        change_pct=100 * (now.value - old.value) / old.value if old.value else None,
        interval=None if drawn is None else bootstrap.interval(drawn),
        interval_pct=bootstrap.interval(100 * drawn / base)
        if ratio and drawn is not None
        else None,
        after_interval=None if now.replicates is None else bootstrap.interval(now.replicates),
        basis=paired[1] if paired else _both(old.basis, now.basis),
    )
    return [change]


def _both(first: str, second: str) -> str:
    return first if first == second else f"{first} against {second}"


def _missing(name: str, old: Estimate | None, now: Estimate | None) -> list[tuple[str, str]]:
    if (old is None) == (now is None):
        return []
    absent = "the baseline" if old is None else "the new set"
    why = f"fewer than {MIN_RUNS_P90} inferences in " if name == "p90" else "nothing in "
    return [(name, why + absent)]


def _doubts(old: Found, now: Found) -> tuple[str, ...]:
    ends = (("baseline", old), ("new", now))
    doubts = [f"{name}: {found.doubt}" for name, found in ends if found.doubt]
    cpus = [sorted({str(r.machine["cpu"]) for r in f.counted if r.machine.get("cpu")})
            for f in (old, now)]  # fmt: skip
    if all(cpus) and cpus[0] != cpus[1]:
        doubts.append(f"another CPU: {', '.join(cpus[0])} before, {', '.join(cpus[1])} now")
    return tuple(doubts)


def _other_runtime(old: Found, now: Found) -> tuple[str, ...]:
    versions = [", ".join(sorted({r.runtime_version for r in f.counted})) for f in (old, now)]
    return (
        () if versions[0] == versions[1] else (f"runtime {versions[0]} before, {versions[1]} now",)
    )


def _other_photos(old: Found, now: Found) -> tuple[str, ...]:
    if old.top1 is None or now.top1 is None or old.top1.n == now.top1.n:
        return ()
    counts = [f"{top1.n:,}" if top1.n else "unknown" for top1 in (old.top1, now.top1)]
    return (f"other photos: {counts[0]} before, {counts[1]} now",)
