"""Files x targets x threads: one Measurement each, kept as one JSON file each."""

from __future__ import annotations

import contextvars
import dataclasses
import itertools
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path

from edgecnn import bench
from edgecnn.core import progress, schema
from edgecnn.core.errors import InputError, MissingExtra
from edgecnn.core.files import write_text
from edgecnn.core.measurement import Accuracy, Measurement
from edgecnn.targets.cpu import CpuTarget
from edgecnn.targets.target import Target
from edgecnn.targets.turns import THIS_MACHINE, board_of, turn


@dataclasses.dataclass(frozen=True)
class Cell:
    """What one row measures.

    Attributes:
        path: The file.
        target: Where.
        threads: Of the runtime.
        runtime: None: the format's own.
        accuracy: What the file reached on photos, if anybody judged it; goes into the row.
    """

    path: Path
    target: Target
    threads: int
    runtime: str | None = None
    accuracy: Accuracy | None = None

    @property
    def board(self) -> str:
        """What does one thing at a time; a prediction is this machine's work."""
        return board_of(self.target.place.name) or THIS_MACHINE


def run_matrix(  # noqa: PLR0913 - each is an option of `edgecnn bench`
    files: Sequence[Path],
    *,
    targets: Sequence[Target] = (CpuTarget(),),
    threads: Sequence[int] = (1,),
    runtime: str | None = None,
    protocol: bench.Protocol | None = None,
    accuracies: Mapping[Path, Accuracy] | None = None,
    out: Path | None = None,
) -> list[Measurement]:
    """Measure each file on each target with each number of threads.

    A board measures one thing after the other; different boards measure side by side. A file
    that can't be measured gives a row without latency that says why, so that the others are
    not lost.

    Args:
        files: Artefact files; each must exist.
        targets: See `parse`.
        threads: Numbers of threads.
        runtime: None: the format's own.
        protocol: None: the default.
        accuracies: What files reached on photos; goes into their rows.
        out: Folder that gets each row as soon as it is measured; see `save`.

    Returns:
        Rows by file, then target, then threads.

    Raises:
        InputError: no such file, two files that would share a row's name, or bad options.
    """
    _check(files, threads, runtime)
    known = accuracies or {}
    cells = [
        Cell(path, target, count, runtime, known.get(path))
        for path, target, count in itertools.product(
            dict.fromkeys(files), targets, dict.fromkeys(threads)
        )
    ]
    protocol = protocol or bench.Protocol()
    with progress.bar("measuring", total=len(cells)) as advance:

        def measured(cell: Cell) -> Measurement:
            name = f"{cell.path.name}, {cell.target.place.name}, {cell.threads} threads"
            advance(0, note=name)
            try:
                row = measure_cell(cell, protocol)
            except MissingExtra as error:
                row = _failed(cell, error, protocol)
            if out is not None:
                save(row, out)
            advance(1)
            return row

        return _by_board(cells, measured)


def measure_cell(cell: Cell, protocol: bench.Protocol) -> Measurement:
    """Measure one row when it is its board's turn; what fails becomes a row that says why.

    Raises:
        MissingExtra: the runtime is not installed there.
    """
    try:
        with turn(cell.target.place.name):
            return cell.target.measure(
                cell.path,
                runtime=cell.runtime,
                threads=cell.threads,
                protocol=protocol,
                accuracy=cell.accuracy,
            )
    except MissingExtra:
        raise
    except InputError as error:
        return _failed(cell, error, protocol)


def _failed(cell: Cell, error: InputError, protocol: bench.Protocol) -> Measurement:
    return bench.unmeasured(
        cell.path,
        str(error),
        runtime=cell.runtime,
        threads=cell.threads,
        protocol=protocol,
        place=cell.target.place,
    )


def _by_board(cells: Sequence[Cell], measured: Callable[[Cell], Measurement]) -> list[Measurement]:
    """Measure in the cells' order on each board, with the boards side by side."""
    boards: dict[str, list[int]] = {}
    for index, cell in enumerate(cells):
        boards.setdefault(cell.board, []).append(index)
    if len(boards) < 2:
        return [measured(cell) for cell in cells]
    rows: dict[int, Measurement] = {}
    stopped = threading.Event()

    def work(indices: Sequence[int]) -> None:
        for index in indices:
            if stopped.is_set():
                return
            rows[index] = measured(cells[index])

    with ThreadPoolExecutor(max_workers=len(boards)) as pool:
        try:
            # A thread's own context would not know of --quiet.
            jobs = [
                pool.submit(contextvars.copy_context().run, work, indices)
                for indices in boards.values()
            ]
            done, _ = wait(jobs, return_when=FIRST_EXCEPTION)
            for job in done:
                job.result()
        finally:
            stopped.set()
    return [rows[index] for index in range(len(cells))]


def _check(files: Sequence[Path], threads: Sequence[int], runtime: str | None) -> None:
    by_name: dict[str, Path] = {}
    for path in files:
        if not path.is_file():
            raise InputError("no such file", where=path, fix="check the path")
        if by_name.setdefault(path.name, path) != path:
            raise InputError(
                f"the same name as {by_name[path.name]}", where=path, fix="rename one of them"
            )
    for count in threads:
        bench.check_options(runtime=runtime, threads=count)


def save(row: Measurement, folder: Path) -> Path:
    """Write one row beside the others; the same file in the same setting is replaced.

    Raises:
        InputError: the folder can't be written.
    """
    path = folder / row_name(row.model, row.target, row.runtime, row.threads, row.variant)
    write_text(path, schema.dumps(row))
    return path


def row_name(model: str, target: str, runtime: str, threads: int, variant: str = "") -> str:
    """Return the name of a row's file."""
    parts = (model, target, runtime, f"{threads}t", *filter(None, [variant]))
    return re.sub(r"[^\w.@-]+", "_", "-".join(parts)) + ".json"
