"""One row a file and setting: what measurement, export and verification say about it together."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from fractions import Fraction
from pathlib import PurePath

from edgecnn.core.measurement import MIN_RUNS_P90, Measurement
from edgecnn.core.parity import ParityRow
from edgecnn.report.collect import ArtifactRow, Collected

# From the least change to the most; files of unknown scheme come last.
SCHEMES = (
    "float32", "float16", "weights8", "weights4", "dynamic", "int16x8", "int8", "unknown"
)  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Top1:
    """Share of right answers 0..1, of n photos (none where the file's writer didn't say)."""

    value: float
    n: int | None
    data: str

    @property
    def interval(self) -> tuple[float, float]:
        """Bounds that hold in 95 of 100 draws of so many photos (Wilson's interval)."""
        if not self.n:
            return self.value, self.value
        z = 1.96
        centre = (self.value + z * z / (2 * self.n)) / (1 + z * z / self.n)
        variance = self.value * (1 - self.value) / self.n + z * z / (4 * self.n * self.n)
        half = z * math.sqrt(max(0.0, variance)) / (1 + z * z / self.n)
        return max(0.0, centre - half), min(1.0, centre + half)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Agreement:
    """Share of photos, 0..100, on which the file answers what its checkpoint answers."""

    pct: float
    n: int | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Changes:
    """Answers that went from right to wrong, and from wrong to right."""

    lost: int
    gained: int

    @property
    def chance(self) -> float:
        """How often so uneven a split falls to luck, 0..1 (two-sided sign test)."""
        total, less = self.lost + self.gained, min(self.lost, self.gained)
        tail = sum(math.comb(total, i) for i in range(less + 1))
        return min(1.0, float(Fraction(2 * tail, 2**total)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One file in one setting; `measurement` is None where it was never timed.

    Attributes:
        file: Its name without folders.
        changes: What became of the checkpoint's right and wrong answers; none without labels.
        checks_failed: Checks of the verification that did not hold.
    """

    file: str
    sha256: str
    format: str
    scheme: str
    bytes: int | None
    top1: Top1 | None
    agreement: Agreement | None
    changes: Changes | None
    checks_failed: tuple[str, ...]
    measurement: Measurement | None

    @property
    def median_ms(self) -> float | None:
        """Median latency."""
        latency = self.measurement and self.measurement.latency_ms
        return latency.median if latency else None

    @property
    def p90_ms(self) -> float | None:
        """90th percentile; none with too few runs for one."""
        latency = self.measurement and self.measurement.latency_ms
        return latency.percentile(0.9) if latency and latency.runs >= MIN_RUNS_P90 else None

    @property
    def memory_mb(self) -> float | None:
        """Highest resident size of the process."""
        memory = self.measurement and self.measurement.memory_mb
        return memory.rss_peak if memory else None

    @property
    def predicted(self) -> bool:
        """Whether it says what a board would take, where nothing ran."""
        return self.measurement is not None and self.measurement.predicted_ms is not None

    @property
    def instructions(self) -> int | None:
        """Of one inference on an emulated board."""
        return self.measurement.instructions if self.measurement else None

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why not to believe its figures as what they are."""
        return self.measurement.doubts if self.measurement else ()

    @property
    def valid(self) -> bool | None:
        """Whether the latency can be trusted; none where there is no measurement."""
        return self.measurement.valid if self.measurement else None

    @property
    def validity(self) -> str:
        """Whether the row can be trusted, in a word or two: its answers first, then its latency."""
        if self.checks_failed:
            return "check failed"
        if self.measurement is None:
            return "not measured"
        if self.valid:
            return "yes"
        if self.doubts:
            return "no"
        return "prediction" if self.predicted else "counted"

    @property
    def setting(self) -> str:
        """Target, runtime and threads, in words."""
        row = self.measurement
        if row is None:
            return "not measured"
        count = f"{row.threads} thread{'s' if row.threads > 1 else ''}"
        return ", ".join(filter(None, (row.target, row.runtime, count, row.variant)))

    @property
    def label(self) -> str:
        """File and setting, for tooltips."""
        return f"{self.file} ({self.setting})"


def build(collected: Collected) -> tuple[Row, ...]:
    """Join by the file's hash; one row a measurement, and one a file that has none."""
    exports = {row.sha256: row for row in collected.artifacts}
    checked: dict[str, ParityRow] = {}
    data: dict[str, str] = {}
    for parity in collected.parities:
        for row in parity.rows:
            if row.sha256 not in checked or row.n >= checked[row.sha256].n:
                checked[row.sha256], data[row.sha256] = row, parity.data
    timed = {m.sha256 for m in collected.measurements}
    rows = [
        _row(m.sha256, m, exports.get(m.sha256), checked.get(m.sha256), data)
        for m in collected.measurements
    ]
    untimed = dict.fromkeys([*exports, *checked])
    rows += [
        _row(sha, None, exports.get(sha), checked.get(sha), data)
        for sha in untimed
        if sha not in timed
    ]
    return tuple(sorted(rows, key=_order))


def files(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Return one row a file: its fastest trustworthy one."""
    best: dict[str, Row] = {}
    for row in rows:
        held = best.get(row.sha256)
        if held is None or _speed(row) < _speed(held):
            best[row.sha256] = row
    return tuple(best.values())


def _row(
    sha: str,
    measured: Measurement | None,
    written: ArtifactRow | None,
    checked: ParityRow | None,
    data: dict[str, str],
) -> Row:
    paths = (measured and measured.model, written and written.path, checked and checked.path)
    file = PurePath(next((path for path in paths if path), "unnamed")).name
    told = written or measured
    scheme = told.scheme if told else scheme_of(file)
    return Row(
        file=file,
        sha256=sha,
        format=told.format if told else PurePath(file).suffix.lstrip("."),
        scheme=scheme if scheme in SCHEMES else "unknown",
        bytes=told.bytes if told else None,
        top1=_top1(measured, written, checked, data.get(sha, "")),
        agreement=_agreement(written, checked),
        changes=_changes(checked),
        checks_failed=tuple(c.name for c in checked.checks if not c.passed) if checked else (),
        measurement=measured,
    )


def scheme_of(path: str) -> str:
    """Return the scheme that a name ``<checkpoint>-<scheme>.<format>`` carries, or "unknown"."""
    scheme = PurePath(path).stem.rpartition("-")[2]
    return scheme if scheme in SCHEMES else "unknown"


def _top1(
    measured: Measurement | None,
    written: ArtifactRow | None,
    checked: ParityRow | None,
    data: str,
) -> Top1 | None:
    """Return the best founded accuracy: verification, then benchmark, then export."""
    if checked and checked.top1 is not None:
        return Top1(value=checked.top1, n=checked.n, data=data)
    if measured and measured.accuracy:
        found = measured.accuracy
        return Top1(value=found.top1, n=found.n, data=found.data)
    if written and written.top1 is not None:
        return Top1(value=written.top1, n=written.n, data=f"{written.split or 'val'} part")
    return None


def _agreement(written: ArtifactRow | None, checked: ParityRow | None) -> Agreement | None:
    if checked:
        return Agreement(pct=checked.agreement_pct, n=checked.n)
    if written and written.agreement_pct is not None:
        return Agreement(pct=written.agreement_pct, n=written.n)
    return None


def _changes(checked: ParityRow | None) -> Changes | None:
    labelled = [flip for flip in checked.flips if flip.label is not None] if checked else []
    if checked is None or (checked.flips and not labelled):
        return None
    return Changes(
        lost=sum(flip.reference == flip.label for flip in labelled),
        gained=sum(flip.answer == flip.label for flip in labelled),
    )


def _order(row: Row) -> tuple[str, int, str, str, int]:
    measured = row.measurement
    return (
        "" if row.format == "tflite" else row.format,
        SCHEMES.index(row.scheme),
        row.file,
        measured.target if measured else "~",
        measured.threads if measured else 0,
    )


def _speed(row: Row) -> tuple[bool, float]:
    return row.valid is not True, row.median_ms if row.median_ms is not None else math.inf
