"""One file to one Measurement: ask a worker, judge what it saw, add what the file says."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path
from typing import Any, TypeAlias

from edgecnn.bench import memory, stages, validity
from edgecnn.bench.answer import Answer, check
from edgecnn.bench.per_op import with_operations
from edgecnn.bench.place import Place, ThisMachine
from edgecnn.bench.protocol import Protocol
from edgecnn.core import errors, files, schema
from edgecnn.core.artifact import FileMetadata, Format
from edgecnn.core.errors import InputError, MissingExtra
from edgecnn.core.measurement import Accuracy, Latency, Measurement
from edgecnn.runtime import metadata as inside
from edgecnn.runtime import wiring
from edgecnn.runtime.engine import Port

RUNTIMES: dict[Format, tuple[str, ...]] = {
    "tflite": ("litert", "tflite-runtime", "openvino"),
    "onnx": ("onnxruntime", "openvino"),
    "ort": ("onnxruntime",),
}
"""Runtimes of each format; where none is asked for, the first that is installed."""

_FIRST: dict[str, str] = {kind: names[0] for kind, names in RUNTIMES.items()}

ONLY_ON_REQUEST = frozenset({"openvino"})
"""Runtimes that never stand in for another one."""

MAX_THREADS = 256

_Stages: TypeAlias = tuple[float | None, float | None]


@dataclasses.dataclass(frozen=True)
class Job:
    """What one row measures.

    Attributes:
        path: A ``.tflite`` or ``.onnx`` file, ours or foreign.
        runtime: A name in `RUNTIMES`. None: the format's first that is installed.
        threads: Threads of the runtime.
        protocol: How long; about five seconds unless given.
        accuracy: What this file reached, if somebody evaluated it; the row carries it.

    Raises:
        InputError: no such runtime, or a number of threads that makes no sense.
    """

    path: Path
    _: dataclasses.KW_ONLY
    runtime: str | None = None
    threads: int = 1
    protocol: Protocol = dataclasses.field(default_factory=Protocol)
    accuracy: Accuracy | None = None

    def __post_init__(self) -> None:
        known = [name for names in RUNTIMES.values() for name in names]
        if self.runtime is not None and self.runtime not in known:
            raise errors.unknown("runtime", self.runtime, known, where="--runtime")
        if not 1 <= self.threads <= MAX_THREADS:
            fix = f"give 1 to {MAX_THREADS}"
            raise InputError(f"{self.threads} threads", where="--threads", fix=fix)


def measure(job: Job, place: Place | None = None) -> Measurement:
    """Measure one file in a fresh process: ``measure(Job(path, threads=4))``.

    Args:
        job: What.
        place: Where. None: this machine, this interpreter.

    Raises:
        MissingExtra: the runtime is not installed there.
        InputError: a file that the runtime refuses or that makes it crash.
    """
    path, protocol, place = job.path, job.protocol, place or ThisMachine()
    metadata = inside.read_metadata(path)
    kind = _format(path)
    planned = memory.arena_mb(path, kind)
    name, answer = _ask(job, _candidates(path, kind, job.runtime), metadata, place)
    before_ms, after_ms = _stages(path, metadata, answer)
    row = unmeasured(job, "no answer", runtime=name, place=place)
    row = dataclasses.replace(
        row,
        format=kind,
        scheme="unknown" if metadata is None else metadata.scheme,
        accuracy=job.accuracy,
        memory_mb=memory.memory_of(answer.memory_mb, arena=planned),
        preprocess_ms=before_ms,
        postprocess_ms=after_ms,
    )
    row = _with_answer(row, answer, asked=protocol.delegate)
    if not protocol.per_op:
        return row
    request = _request(job, name, metadata)
    return with_operations(row, path, request, place, timeout_seconds=protocol.timeout_seconds)


def measure_network(job: Job, *, runtime: str, place: Place) -> Measurement:
    """Measure what is no file of a runtime, in a place that knows the program for it.

    It takes pixels 0..255; nothing is planned, and no photo prepared.

    Raises:
        MissingExtra: what it needs is not installed there.
        InputError: the program refuses it, or operations were asked for.
    """
    if job.protocol.per_op:
        raise InputError(
            "no times of its operations", where=job.path, fix="export it, and measure that"
        )
    request = _request(job, runtime, None)
    told = place.run(request, timeout_seconds=job.protocol.timeout_seconds)
    answer = check(told, model=job.path, runtime=runtime)
    row = unmeasured(job, "no answer", runtime=runtime, place=place)
    row = dataclasses.replace(row, memory_mb=memory.memory_of(answer.memory_mb, arena=None))
    return _with_answer(row, answer, asked=job.protocol.delegate)


def unmeasured(job: Job, reason: str, *, place: Place, runtime: str | None = None) -> Measurement:
    """Make the row of a file that could not be measured: no latency, and the reason."""
    path = job.path
    kind = path.suffix[1:] if path.suffix in (".onnx", ".ort", ".keras") else "tflite"
    return Measurement(
        model=path.name,
        sha256=files.sha256(path),
        bytes=path.stat().st_size,
        format=kind,
        scheme="unknown",
        target=place.name,
        runtime=runtime or job.runtime or _FIRST.get(kind, "tensorflow"),
        runtime_version="unknown",
        delegate="unknown",
        delegated_nodes=None,
        total_nodes=None,
        threads=job.threads,
        latency_ms=None,
        preprocess_ms=None,
        postprocess_ms=None,
        memory_mb=None,
        accuracy=None,
        machine={},
        protocol={**schema.encode(job.protocol), "frame_shape": list(stages.FRAME_SHAPE)},
        valid=False,
        invalid_reasons=(reason,),
        when=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def _with_answer(row: Measurement, answer: Answer, *, asked: str | None) -> Measurement:
    latency = Latency(
        init=answer.init_ms,
        first=answer.first_ms,
        warmup_runs=answer.warmup_runs,
        samples_ms=answer.samples_ms,
    )
    reasons = validity.reasons(latency, answer.machine)
    if not answer.finite:
        reasons = ("wrong answer: the output holds NaN or infinity", *reasons)
    if asked == "xnnpack" and answer.delegate == "none":
        reasons = ("XNNPACK took no operation of this file", *reasons)
    return dataclasses.replace(
        row,
        runtime_version=answer.runtime_version,
        delegate=answer.delegate,
        delegated_nodes=answer.delegated_nodes,
        total_nodes=answer.total_nodes,
        latency_ms=None if answer.machine.get("emulator") else latency,
        machine=answer.machine,
        energy_mj=answer.energy_mj,
        valid=not reasons,
        invalid_reasons=reasons,
    )


def _format(path: Path) -> Format:
    with inside.mapped(path) as data:
        return inside.format_of(data, where=path)


def _candidates(path: Path, kind: Format, runtime: str | None) -> tuple[str, ...]:
    """Return the runtimes to try, in order."""
    if runtime is None:
        return tuple(name for name in RUNTIMES[kind] if name not in ONLY_ON_REQUEST)
    if runtime not in RUNTIMES[kind]:
        fix = f"use --runtime {RUNTIMES[kind][0]}"
        raise InputError(f"a {kind} file, which {runtime} does not read", where=path, fix=fix)
    return (runtime,)


def _ask(
    job: Job, candidates: tuple[str, ...], metadata: FileMetadata | None, place: Place
) -> tuple[str, Answer]:
    """Return the first runtime that is installed, and its answer."""
    absent: list[MissingExtra] = []
    for name in candidates:
        request = _request(job, name, metadata)
        try:
            answer = place.run(request, timeout_seconds=job.protocol.timeout_seconds)
            return name, check(answer, model=job.path, runtime=name)
        except MissingExtra as error:
            absent.append(error)
    raise absent[0]


def _request(job: Job, runtime: str, metadata: FileMetadata | None) -> dict[str, Any]:
    source = metadata and {"scale": metadata.input.scale, "offset": metadata.input.offset}
    return {
        "model": str(job.path),
        "runtime": runtime,
        "threads": job.threads,
        "input": source,
        "protocol": dataclasses.asdict(job.protocol),
    }


def _stages(path: Path, metadata: FileMetadata | None, answer: Answer) -> _Stages:
    """Time what is before and after an inference; none where the input is no image."""
    # One photo is prepared at a time, however many make a batch.
    shape = (1, *answer.output_shape[1:])
    source = Port(shape=(1, *answer.input_shape[1:]), dtype=answer.input_dtype)
    result = Port(shape=shape, dtype=answer.output_dtype)
    try:
        if metadata is None:
            ends = wiring.assumed(source, result, where=path)
        else:
            ends = wiring.told(metadata, source, result, where=path)
    except InputError:
        return None, None
    return stages.preprocess_ms(ends), stages.postprocess_ms(ends, shape)
