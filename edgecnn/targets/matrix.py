"""Files x targets x threads: one Measurement each, kept as one JSON file each."""

from __future__ import annotations

import contextvars
import itertools
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path

from edgecnn.bench import Job, Protocol
from edgecnn.core import progress, schema
from edgecnn.core.errors import InputError, MissingExtra
from edgecnn.core.files import write_text
from edgecnn.core.measurement import Accuracy, Measurement
from edgecnn.targets.cells import Cell, close, failed, measure_cell
from edgecnn.targets.cluster import measure_on_cluster
from edgecnn.targets.cpu import CpuTarget
from edgecnn.targets.resuming import earlier
from edgecnn.targets.target import Target


def run_matrix(  # noqa: PLR0913 - each is an option of `edgecnn bench`
    files: Sequence[Path],
    *,
    targets: Sequence[Target] = (CpuTarget(),),
    threads: Sequence[int] = (1,),
    runtime: str | None = None,
    protocol: Protocol | None = None,
    accuracies: Mapping[Path, Accuracy] | None = None,
    out: Path | None = None,
    cluster: str | None = None,
    resume: bool = False,
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
        cluster: Address of a Dask scheduler whose workers reach the boards. None: this machine.
        resume: Take the rows that are in ``out`` already; see `resuming.earlier`.

    Returns:
        Rows by file, then target, then threads.

    Raises:
        InputError: no such file, two files that would share a row's name, bad options, or no
            such cluster.
    """
    _check(files)
    known = accuracies or {}
    cells = [
        Cell(
            Job(
                path,
                runtime=runtime,
                threads=count,
                protocol=protocol or Protocol(),
                accuracy=known.get(path),
            ),
            target,
        )
        for path, target, count in itertools.product(
            dict.fromkeys(files), targets, dict.fromkeys(threads)
        )
    ]
    rows = earlier(out, cells) if out is not None and resume else {}
    left = [index for index in range(len(cells)) if index not in rows]
    rows |= _measured([cells[index] for index in left], left, out=out, cluster=cluster)
    return [rows[index] for index in range(len(cells))]


def _measured(
    cells: Sequence[Cell],
    indices: Sequence[int],
    *,
    out: Path | None,
    cluster: str | None,
) -> dict[int, Measurement]:
    """Measure cells, and keep each row; returns them by the indices given."""
    rows: dict[int, Measurement] = {}
    with progress.bar("measuring", total=len(cells)) as advance:

        def begun(cell: Cell) -> None:
            job = cell.job
            words = (job.path.name, cell.target.place.name, f"{job.threads} threads")
            advance(0, note=", ".join(words))

        def finished(place: int, row: Measurement) -> None:
            rows[indices[place]] = row
            if out is not None:
                save(row, out)
            advance(1)

        try:
            if cluster is None:
                _by_board(cells, begun, finished)
            else:
                measure_on_cluster(cells, cluster, finished)
        finally:
            _let_go(cells)
    return rows


def _let_go(cells: Sequence[Cell]) -> None:
    for cell in cells:
        close(cell.target)


def _by_board(
    cells: Sequence[Cell],
    begun: Callable[[Cell], None],
    finished: Callable[[int, Measurement], None],
) -> None:
    """Measure in the cells' order on each board, with the boards side by side."""
    boards: dict[str, list[int]] = {}
    for index, cell in enumerate(cells):
        boards.setdefault(cell.board, []).append(index)
    stopped = threading.Event()

    def work(indices: Sequence[int]) -> None:
        for index in indices:
            if stopped.is_set():
                return
            begun(cells[index])
            try:
                row = measure_cell(cells[index])
            except MissingExtra as error:
                row = failed(cells[index], error)
            finished(index, row)

    if len(boards) < 2:
        work(range(len(cells)))
        return
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
            _let_go(cells)  # a board that is waited for, too


def _check(files: Sequence[Path]) -> None:
    by_name: dict[str, Path] = {}
    for path in files:
        if not path.is_file():
            raise InputError("no such file", where=path, fix="check the path")
        if by_name.setdefault(path.name, path) != path:
            raise InputError(
                f"the same name as {by_name[path.name]}", where=path, fix="rename one of them"
            )


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
