"""The rows of a search: each file in each setting is measured once.

A row is believed later on only where file, protocol and machine are still the same.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgecnn import bench
from edgecnn.bench.machine import machine_facts
from edgecnn.bench.measure import ONLY_ON_REQUEST
from edgecnn.core import files, progress, schema
from edgecnn.core.artifact import Format
from edgecnn.core.errors import InputError, MissingExtra
from edgecnn.core.measurement import Measurement
from edgecnn.flows.tuning_answers import Judged
from edgecnn.targets import CpuTarget, PredictedTarget, Target
from edgecnn.targets.cells import Cell, measure_cell
from edgecnn.targets.matrix import row_name, save

# Of a machine, what its times depend on and what doesn't change from run to run.
_SAME = ("cpu", "arch", "cores")
_USUAL_THREADS = (1, 2, 4)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What each file is measured with.

    Attributes:
        target: Where.
        runtimes: Names; None: all that read a format and are installed there.
        threads: Numbers of threads; None: powers of two up to the cores.
        protocol: How long.

    Raises:
        InputError: no such runtime, or a number of threads that makes no sense.
    """

    target: Target
    runtimes: tuple[str, ...] | None = None
    threads: tuple[int, ...] | None = None
    protocol: bench.Protocol = dataclasses.field(default_factory=bench.Protocol)

    def __post_init__(self) -> None:
        # What no job can have shows here, before files are made for it.
        for runtime in self.runtimes or (None,):
            for count in self.threads or (1,):
                bench.Job(Path(), runtime=runtime, threads=count)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rows:
    """What was measured.

    Attributes:
        rows: One a file, runtime and number of threads.
        kept: So many of them are an earlier run's.
        notes: What was not tried, and why.
    """

    rows: tuple[Measurement, ...]
    kept: int
    notes: tuple[str, ...]


def measured(some: Sequence[Judged], settings: Settings, out: Path, *, force: bool) -> Rows:
    """Measure each file with each runtime and number of threads, one after the other.

    Args:
        some: Files.
        settings: With what.
        out: Folder of the rows, as `save` leaves them.
        force: Measure them all anew.

    Raises:
        InputError: bad settings, or not one runtime is there.
    """
    cells = list(_cells(some, settings))
    if not cells:
        asked = ", ".join(settings.runtimes or ())
        raise InputError(f"no file that {asked} reads", where="--runtime", fix="leave it out")
    rows: list[Measurement] = []
    absent: dict[str, str] = {}
    kept = 0
    with progress.bar("measuring", total=len(cells)) as advance:
        for cell in cells:
            name = str(cell.job.runtime)
            advance(0, note=f"{cell.job.path.name}, {name}, {cell.job.threads} threads")
            earlier = None if force else _earlier(cell, out)
            kept += earlier is not None
            if name not in absent:
                row = earlier or _measured(cell, absent, out)
                rows += [] if row is None else [row]
            advance(1)
    if not rows:
        raise InputError(
            f"no runtime ({', '.join(absent)})",
            where=settings.target.place.name,
            fix=next(iter(absent.values())),
        )
    told = tuple(f"{name} is not installed there: not tried" for name in absent)
    return Rows(rows=tuple(rows), kept=kept, notes=told)


def _cells(some: Sequence[Judged], settings: Settings) -> Iterator[Cell]:
    counts = settings.threads or usual_threads(settings.target)
    for one in some:
        for runtime in _runtimes(one.path, settings):
            for count in counts:
                job = bench.Job(
                    one.path,
                    runtime=runtime,
                    threads=count,
                    protocol=settings.protocol,
                    accuracy=one.accuracy,
                )
                yield Cell(job, settings.target)


def _runtimes(path: Path, settings: Settings) -> tuple[str, ...]:
    formats: dict[str, Format] = {".onnx": "onnx", ".ort": "ort"}
    known = bench.RUNTIMES[formats.get(path.suffix, "tflite")]
    if isinstance(settings.target, PredictedTarget):
        known = known[:1]  # published latencies know no other
    asked = settings.runtimes
    if asked is None and not isinstance(settings.target, CpuTarget):
        # Boards have what a bundle brings.
        return tuple(name for name in known if name not in ONLY_ON_REQUEST)
    return known if asked is None else tuple(name for name in known if name in asked)


def usual_threads(target: Target) -> tuple[int, ...]:
    """Return the numbers of threads that make sense on a target: 1, 2, 4 ... its cores."""
    match target:
        case CpuTarget():
            cores = len(os.sched_getaffinity(0))
        case PredictedTarget():
            cores = target.device.cpu.cores or 1
        case _ if target.place.name.startswith("emulated:"):
            return (1,)  # threads wait by spinning: only one's instructions are its own
        case _:
            return _USUAL_THREADS
    powers = [2**i for i in range(cores.bit_length()) if 2**i < cores]
    return (*powers, cores)


def usual_formats(target: Target, runtimes: tuple[str, ...] | None) -> tuple[Format, ...]:
    """Return the formats to try: those that these runtimes read; predictions know TFLite only."""
    if isinstance(target, PredictedTarget):
        return ("tflite",)
    formats: tuple[Format, ...] = ("tflite", "onnx")
    some = tuple(f for f in formats if runtimes is None or set(runtimes) & set(bench.RUNTIMES[f]))
    return some or formats


def _measured(cell: Cell, absent: dict[str, str], out: Path) -> Measurement | None:
    """Measure a row, and once more where the machine was busy; the better one is kept.

    None where the runtime is absent, which is noted.
    """
    try:
        row = measure_cell(cell)
        if row.latency_ms is not None and not row.valid:
            again = measure_cell(cell)
            row = again if again.valid or _median(again) < _median(row) else row
    except MissingExtra as error:
        absent[str(cell.job.runtime)] = error.fix
        return None
    save(row, out)
    return row


def _median(row: Measurement) -> float:
    return row.latency_ms.median if row.latency_ms else math.inf


def _earlier(cell: Cell, out: Path) -> Measurement | None:
    """Return the row that an earlier run kept of the same bytes, protocol and machine.

    One that isn't valid is measured again: the machine may be quieter now. A prediction
    is quicker made than looked up.
    """
    job, target = cell.job, cell.target.place.name
    path = out / row_name(job.path.name, target, str(job.runtime), job.threads)
    try:
        row = schema.read(Measurement, path)
    except InputError:
        return None
    wanted = schema.encode(dataclasses.asdict(job.protocol))
    timed = {name: row.protocol.get(name) for name in wanted} == wanted
    same = (
        not row.doubts
        and row.predicted_ms is None
        and row.sha256 == files.sha256(job.path)
        and (row.target, row.runtime, row.threads) == (target, job.runtime, job.threads)
        and (timed or row.instructions is not None)  # a count doesn't depend on how long
        and _same_machine(row, cell.target)
    )
    return dataclasses.replace(row, accuracy=job.accuracy) if same else None


def _same_machine(row: Measurement, target: Target) -> bool:
    """Tell whether this machine's own rows are this machine's; a board is known by its name."""
    if not isinstance(target, CpuTarget):
        return True
    here = machine_facts()
    return all(row.machine.get(name) == here[name] for name in _SAME)
