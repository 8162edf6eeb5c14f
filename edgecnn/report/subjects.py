"""One result set as subjects that another set may have, too: files, and files in settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import PurePath

from edgecnn.core.errors import InputError
from edgecnn.core.measurement import Measurement
from edgecnn.core.parity import ParityRow
from edgecnn.report import units
from edgecnn.report.collect import Collected
from edgecnn.report.rows import Agreement, Row, Top1, build, scheme_of


@dataclasses.dataclass(frozen=True, kw_only=True, order=True)
class Subject:
    """What rows of two sets are matched by; no target: the file by itself, wherever it runs."""

    file: str
    format: str
    scheme: str
    target: str | None = None
    runtime: str | None = None
    threads: int | None = None
    variant: str = ""

    @property
    def setting(self) -> str:
        """Target, runtime, threads and variant, in words; empty for a file by itself."""
        if self.target is None:
            return ""
        count = units.plural(self.threads or 1, "thread")
        return ", ".join(filter(None, (self.target, self.runtime, count, self.variant)))

    @property
    def label(self) -> str:
        """File and setting, in words."""
        return f"{self.file} ({self.setting})" if self.target else self.file


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judged:
    """A file's verification: photo by photo against one reference on one set of photos."""

    reference_sha256: str | None
    data: str
    row: ParityRow


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    """What a set says of one subject.

    Attributes:
        runs: Its measurements, one a process; empty for a file by itself.
        judged: Its verification; none where there was none.
    """

    sha256: str
    bytes: int | None
    top1: Top1 | None
    agreement: Agreement | None
    runs: tuple[Measurement, ...]
    judged: Judged | None

    @property
    def counted(self) -> tuple[Measurement, ...]:
        """The valid runs; all of them where none is."""
        return tuple(run for run in self.runs if run.valid) or self.runs

    @property
    def doubt(self) -> str:
        """Why no latency here can be trusted; empty where one can, or where none is meant."""
        if any(not run.doubts for run in self.runs):
            return ""
        reasons = "; ".join(self.runs[0].doubts)
        return reasons if len(self.runs) == 1 else f"none of {len(self.runs)} runs valid: {reasons}"


def subjects(collected: Collected, *, where: str) -> dict[Subject, Found]:
    """Return each file, and each file in each setting.

    Args:
        collected: One result set.
        where: Its name, for errors.

    Raises:
        InputError: two different files of one name, of which nobody could say which is meant.
    """
    rows = [*build(collected), *_only_evaluated(collected)]
    _refuse_namesakes(rows, where)
    judged = _judged(collected)
    scores = {row.sha256: row for row in collected.evaluations}
    found: dict[Subject, Found] = {}
    for row in rows:
        name = Subject(file=row.file, format=row.format, scheme=row.scheme)
        alone = scores.get(row.sha256)
        top1 = row.top1
        if alone is not None and (top1 is None or not top1.n):
            top1 = Top1(value=alone.top1, n=alone.n, data=alone.split)
        file = Found(
            sha256=row.sha256,
            bytes=row.bytes,
            top1=top1,
            agreement=row.agreement,
            runs=(),
            judged=judged.get(row.sha256),
        )
        found.setdefault(name, file)
        if (run := row.measurement) is not None:
            setting = dataclasses.replace(
                name,
                target=run.target,
                runtime=run.runtime,
                threads=run.threads,
                variant=run.variant,
            )
            before = found.get(setting, file)
            found[setting] = dataclasses.replace(before, runs=(*before.runs, run))
    return found


def _only_evaluated(collected: Collected) -> list[Row]:
    known = {row.sha256 for row in collected.artifacts}
    known |= {row.sha256 for row in collected.measurements}
    known |= {row.sha256 for parity in collected.parities for row in parity.rows}
    rows = []
    for scores in collected.evaluations:
        path = PurePath(scores.model)
        if scores.sha256 not in known:
            row = Row(
                file=path.name,
                sha256=scores.sha256,
                format=path.suffix.lstrip(".") or "checkpoint",
                scheme=scheme_of(path.name) if path.suffix else "float32",
                bytes=None,
                top1=None,
                agreement=None,
                changes=None,
                checks_failed=(),
                measurement=None,
            )
            rows.append(row)
            known.add(scores.sha256)
    return rows


def _judged(collected: Collected) -> dict[str, Judged]:
    """Return each file's verification on the most photos, as `rows.build` chooses it."""
    found: dict[str, Judged] = {}
    for parity in collected.parities:
        for row in parity.rows:
            if row.sha256 not in found or row.n >= found[row.sha256].row.n:
                found[row.sha256] = Judged(
                    reference_sha256=parity.reference_sha256, data=parity.data, row=row
                )
    return found


def _refuse_namesakes(rows: Iterable[Row], where: str) -> None:
    seen: dict[str, str] = {}
    for row in rows:
        if seen.setdefault(row.file, row.sha256) != row.sha256:
            raise InputError(
                f"two different files named {row.file}",
                where=where,
                fix="keep the results of one of them, or export, verify and bench again",
            )
