"""Measure files in every way that was asked for: runtimes x delegates x batches."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgecnn import bench, targets
from edgecnn.core.artifact import Format
from edgecnn.core.checkpoint import MODEL_FILE
from edgecnn.core.errors import InputError
from edgecnn.core.measurement import Accuracy, Measurement
from edgecnn.flows.checkpoint_bench import CheckpointTarget, is_checkpoint
from edgecnn.flows.opening import model_files
from edgecnn.runtime.metadata import format_of, mapped

ALL = "all"
"""In place of a runtime's name: each that is installed."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ways:
    """What a command asks of each file.

    Attributes:
        places: Where; see `targets.parse`.
        threads: Numbers of threads.
        runtime: A name of `bench.RUNTIMES`, `ALL`, or None: the format's own.
        delegates: Names that `bench.Protocol` takes; None: the runtime's own choice.
        batches: Images of one inference.
        cluster: Address of a Dask scheduler whose workers reach the places. None: this machine.
        resume: Take the rows that an interrupted run left.
    """

    places: Sequence[targets.Target]
    threads: Sequence[int] = (1,)
    runtime: str | None = None
    delegates: Sequence[str | None] = (None,)
    batches: Sequence[int] = (1,)
    cluster: str | None = None
    resume: bool = False


def measure_all(
    paths: Sequence[Path],
    ways: Ways,
    *,
    protocol: bench.Protocol,
    accuracies: Mapping[Path, Accuracy] | None = None,
    out: Path | None = None,
) -> list[Measurement]:
    """Measure each file in each way.

    Args:
        paths: Artefact files.
        ways: What varies.
        protocol: How each row is timed.
        accuracies: What files reached on photos; goes into their rows.
        out: Folder that gets each row as soon as it is measured.

    Raises:
        InputError: as `targets.run_matrix`.
    """
    rows: list[Measurement] = []
    networks = [path for path in paths if path.name == MODEL_FILE]
    for runtime, files in _by_runtime([path for path in paths if path not in networks], ways):
        for delegate, batch in itertools.product(ways.delegates, ways.batches):
            rows += targets.run_matrix(
                files,
                targets=ways.places,
                threads=ways.threads,
                runtime=runtime,
                protocol=dataclasses.replace(protocol, delegate=delegate, batch=batch),
                accuracies=accuracies,
                out=out,
                cluster=ways.cluster,
                resume=ways.resume,
            )
    for path in networks:
        rows += targets.run_matrix(
            [path],
            targets=[CheckpointTarget(place) for place in ways.places],
            threads=ways.threads,
            protocol=protocol,
            accuracies=accuracies,
            out=out,
        )
    return rows


def measurable(paths: Sequence[Path]) -> list[Path]:
    """Return the model files among paths, and the networks of checkpoints' folders.

    Raises:
        InputError: as `model_files`.
    """
    networks = [path / MODEL_FILE for path in paths if is_checkpoint(path)]
    files = [path for path in paths if not is_checkpoint(path)]
    return [*(model_files(files) if files or not networks else []), *networks]


def _by_runtime(paths: Sequence[Path], ways: Ways) -> list[tuple[str | None, list[Path]]]:
    """Return the runtimes, and for each the files that it is to measure."""
    if not paths:
        return []
    if ways.runtime != ALL:
        return [(ways.runtime, list(paths))]
    pythons = {place.python for place in ways.places if isinstance(place, targets.CpuTarget)}
    if len(pythons) != 1 or len(ways.places) != 1:
        raise InputError(
            f"--runtime {ALL} where it isn't known what is installed",
            where="--target",
            fix="use --target cpu alone, or name one runtime",
        )
    installed = bench.installed(pythons.pop())
    formats = {path: _format(path) for path in paths}
    found: list[tuple[str | None, list[Path]]] = []
    for name in dict.fromkeys(itertools.chain.from_iterable(bench.RUNTIMES.values())):
        fit = [path for path, kind in formats.items() if name in bench.RUNTIMES[kind]]
        if fit and name in installed:
            found.append((name, fit))
    if not found:
        fix = "pip install 'edgecnn[tflite,onnx]'"
        raise InputError("no runtime for these files", where="that Python", fix=fix)
    return found


def _format(path: Path) -> Format:
    if not path.is_file():
        raise InputError("no such file", where=path, fix="check the path")
    with mapped(path) as data:
        return format_of(data, where=path)
