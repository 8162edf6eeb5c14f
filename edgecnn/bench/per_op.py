"""How long each operation of a file takes: what a runtime's profiler tells, by the file's names."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from edgecnn.bench import profiler, roofs
from edgecnn.bench.alignment import align
from edgecnn.bench.answer import check_error
from edgecnn.bench.place import Place
from edgecnn.core import schema
from edgecnn.core.errors import InputError
from edgecnn.core.measurement import Measurement, OpTime, PerOpAbout
from edgecnn.runtime.inspect import read_graph
from edgecnn.runtime.operations import macs_of
from edgecnn.runtime.tflite import Graph

# What ONNX Runtime appends to a node's name where it puts another one in its place.
_RENAMED = re.compile(r"(_nchwc|_token_\d+|_quant|/fused)+$")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kernel:
    """What ran, and how long; see `kernels.Kernel`."""

    kernel: str
    name: str
    node: int | None
    part: int | None
    ms: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Profile:
    """A profiler's answer; see `profiler.profile` and `core.measurement.PerOpAbout`."""

    SCHEMA: ClassVar[str] = profiler.SCHEMA

    runtime_version: str
    method: str
    runs: int
    plain_ms: float
    inference_ms: float
    outside_ms: float
    kernels: tuple[Kernel, ...]


def with_operations(row: Measurement, path: Path, request: dict[str, Any], place: Place,
                    *, timeout_seconds: float) -> Measurement:  # fmt: skip
    """Return a row with the times of its file's operations, or with the reason why not.

    Args:
        row: The file, measured.
        path: The file.
        request: What the row's worker was asked.
        place: Where.
        timeout_seconds: Of the process that profiles.
    """
    try:
        _require_profiled(row)
        answer = place.run({**request, "per_op": True}, timeout_seconds=timeout_seconds)
        found = read_profile(answer, model=path, runtime=row.runtime)
        operations = by_operation(found.kernels, read_graph(path))
    except InputError as error:
        return dataclasses.replace(row, per_op_reason=str(error))
    ceilings = roofs.measured(operations, request, place)
    about = PerOpAbout(
        method=found.method,
        runs=found.runs,
        plain_ms=found.plain_ms,
        inference_ms=found.inference_ms,
        residual_ms=found.outside_ms,
        ceilings=ceilings,
    )
    timed = roofs.under(operations, ceilings)
    return dataclasses.replace(row, per_op=timed, per_op_about=about)


def _require_profiled(row: Measurement) -> None:
    """Refuse settings in which the profilers would time something else than the row."""
    for option, is_other in (("--batch", row.batch > 1), ("--delegate", row.delegate == "none")):
        if is_other:
            raise InputError(
                f"no times of its operations with {option}",
                where=row.model,
                fix="profile it without that option",
            )


def read_profile(answer: dict[str, Any], *, model: Path, runtime: str) -> Profile:
    """Check a profiler's answer.

    Raises:
        MissingExtra: the interpreter that ran it has no such runtime.
        InputError: no profiler there, or the answer is not as agreed.
    """
    problem = answer.get("error")
    if isinstance(problem, dict) and problem.get("kind") == "no_profiler":
        text = " ".join(str(problem.get("text")).split())
        raise InputError(
            f"no times of its operations ({text[:200]})",
            where=model,
            fix="measure it with litert or onnxruntime",
        )
    check_error(answer, model=model, runtime=runtime)
    return schema.decode(Profile, answer, where=f"the profiler's answer about {model}")


def by_operation(kernels: Sequence[Kernel], graph: Graph) -> tuple[OpTime, ...]:
    """Return the file's operations with their times, then kernels that stand for none of them.

    Args:
        kernels: In the order in which they ran.
        graph: Of the file.
    """
    places = _places(kernels, graph)
    total = sum(kernel.ms for kernel in kernels) or 1.0
    by_place: dict[int, list[Kernel]] = {}
    for kernel, place in zip(kernels, places, strict=True):
        if place is not None:
            by_place.setdefault(place, []).append(kernel)
    found = [_of_file(graph, place, by_place.get(place, []), total)
             for place in range(len(graph.operators))]  # fmt: skip
    others = [
        OpTime(operation=kernel.kernel, name=kernel.name, output_shape=(), dtype="", macs=0,
               kernel=kernel.kernel, ms=kernel.ms, share=kernel.ms / total)
        for kernel, place in zip(kernels, places, strict=True)
        if place is None
    ]  # fmt: skip
    return (*found, *others)


def _of_file(graph: Graph, place: int, kernels: Sequence[Kernel], total: float) -> OpTime:
    operator = graph.operators[place]
    output = graph.tensors[operator.outputs[0]] if operator.outputs else None
    took = sum(kernel.ms for kernel in kernels)
    return OpTime(
        operation=operator.name,
        name=output.name if output else "",
        output_shape=output.shape if output else (),
        dtype=output.dtype if output else "",
        macs=macs_of(graph, operator),
        kernel=" + ".join(kernel.kernel for kernel in kernels),
        ms=took if kernels else None,
        share=took / total,
        bytes=roofs.bytes_of(graph, operator),
    )


def _places(kernels: Sequence[Kernel], graph: Graph) -> list[int | None]:
    """Return the place of each kernel's operation: told, by the node's name, or by the order."""
    named = _by_name(graph)
    places = [_told(kernel, graph, named) for kernel in kernels]
    taken = {place for place in places if place is not None}
    free = [place for place in range(len(graph.operators)) if place not in taken]
    inside = [at for at, kernel in enumerate(kernels) if kernel.part is not None]
    order = align(
        [kernels[at].kernel for at in inside], [graph.operators[place].name for place in free]
    )
    for at, position in zip(inside, order, strict=True):
        places[at] = None if position is None else free[position]
    return places


def _by_name(graph: Graph) -> dict[str, int]:
    """Return where operations are by what a node may be called: its own name, or its output's."""
    found: dict[str, int] = {}
    for place, operator in enumerate(graph.operators):
        outputs = (graph.tensors[output].name for output in operator.outputs)
        for name in (operator.node, *outputs):
            if name:
                found.setdefault(name, place)
    return found


def _told(kernel: Kernel, graph: Graph, named: Mapping[str, int]) -> int | None:
    if kernel.node is not None:
        fits = 0 <= kernel.node < len(graph.operators)
        return kernel.node if fits and graph.operators[kernel.node].name == kernel.kernel else None
    if kernel.part is not None or not kernel.name:
        return None
    place = named.get(kernel.name, named.get(_RENAMED.sub("", kernel.name)))
    return place if place is None else _source(kernel, graph, place)


def _source(kernel: Kernel, graph: Graph, place: int) -> int:
    """Return the operation that a fused node is for: it bears the name of the last one in it."""
    makers = {made: at for at, operator in enumerate(graph.operators) for made in operator.outputs}
    at: int | None = place
    for _ in range(4):
        if at is None:
            break
        if _core(graph.operators[at].name) in kernel.kernel:
            return at
        at = next(iter(_read(graph.operators[at].inputs, makers)), None)
    return place


def _read(inputs: Iterable[int], makers: Mapping[int, int]) -> list[int]:
    return [makers[place] for place in inputs if place in makers]


def _core(operation: str) -> str:
    """Return what the names of an operation in its several forms have in common."""
    return operation.removeprefix("Q" if operation == "QGemm" else "QLinear").removeprefix("Fused")
