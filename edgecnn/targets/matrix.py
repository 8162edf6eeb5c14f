"""Files x targets x threads: one Measurement each, kept as one JSON file each."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgecnn import bench
from edgecnn.core import progress, schema
from edgecnn.core.errors import InputError
from edgecnn.core.files import write_text
from edgecnn.core.measurement import Accuracy, Measurement
from edgecnn.targets.cpu import CpuTarget
from edgecnn.targets.target import Target


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
    """Measure each file on each target with each number of threads, one after the other.

    A file that can't be measured gives a row without latency that says why, so that the
    others are not lost.

    Args:
        files: Artefact files; each must exist.
        targets: See `parse`.
        threads: Numbers of threads.
        runtime: None: the format's own.
        protocol: None: the default.
        accuracies: What files reached on photos; goes into their rows.
        out: Folder that gets each row as soon as it is measured; see `save`.

    Raises:
        InputError: no such file, two files that would share a row's name, or bad options.
    """
    _check(files, threads, runtime)
    cells = list(itertools.product(dict.fromkeys(files), targets, dict.fromkeys(threads)))
    rows = []
    with progress.bar("measuring", total=len(cells)) as advance:
        for path, target, count in cells:
            advance(0, note=f"{path.name}, {target.place.name}, {count} threads")
            accuracy = (accuracies or {}).get(path)
            row = _measure(path, target, runtime, count, protocol, accuracy)
            rows.append(row)
            if out is not None:
                save(row, out)
            advance(1)
    return rows


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


def _measure(
    path: Path,
    target: Target,
    runtime: str | None,
    threads: int,
    protocol: bench.Protocol | None,
    accuracy: Accuracy | None,
) -> Measurement:
    try:
        return target.measure(
            path, runtime=runtime, threads=threads, protocol=protocol, accuracy=accuracy
        )
    except InputError as error:
        return bench.unmeasured(
            path,
            str(error),
            runtime=runtime,
            threads=threads,
            protocol=protocol or bench.Protocol(),
            place=target.place,
        )


def save(row: Measurement, folder: Path) -> Path:
    """Write one row beside the others; the same file, target, runtime and threads is replaced.

    Raises:
        InputError: the folder can't be written.
    """
    parts = (row.model, row.target, row.runtime, f"{row.threads}t")
    path = folder / (re.sub(r"[^\w.@-]+", "_", "-".join(parts)) + ".json")
    write_text(path, schema.dumps(row))
    return path
