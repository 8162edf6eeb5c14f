"""Each operation's time, by the file's own names."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from edgecnn import bench
from edgecnn.bench import Job, Protocol, ThisMachine
from edgecnn.bench.per_op import Kernel, by_operation, read_profile
from edgecnn.core import schema
from edgecnn.core.errors import InputError, MissingExtra
from edgecnn.core.measurement import Measurement
from edgecnn.runtime.inspect import inspect, read_graph

PER_OP = Protocol(seconds=0, runs=4, warmup_seconds=0, warmup_runs=1, per_op=True)


@pytest.fixture
def foreign(shared: Path) -> Path:
    return shared / "models" / "mobilenet_v1_0.25_128_quant.tflite"


def test_a_row_tells_what_each_operation_took(foreign: Path) -> None:
    row = bench.measure(Job(foreign, protocol=PER_OP))
    assert row.per_op_reason == ""
    assert row.per_op_about is not None
    assert "profiler" in row.per_op_about.method
    layers = inspect(foreign)["layers"]
    assert [(op.operation, op.name, op.macs) for op in row.per_op] == [
        (layer["op"], layer["name"], layer["macs"]) for layer in layers
    ]
    assert all(op.ms is not None and op.kernel for op in row.per_op)
    assert math.isclose(sum(op.share for op in row.per_op), 1.0)
    assert (row.per_op[0].output_shape, row.per_op[0].dtype) == ((1, 64, 64, 8), "uint8")
    assert schema.loads(Measurement, schema.dumps(row), where="row") == row


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["tiny-float32.tflite", "tiny-int8.tflite", "tiny-float32.onnx"])
def test_what_multiplies_has_a_time_in_each_format(tiny_files: Path, name: str) -> None:
    row = bench.measure(Job(tiny_files / name, protocol=PER_OP))
    assert row.per_op_reason == ""
    assert sum(op.macs for op in row.per_op) == inspect(tiny_files / name)["macs"]
    assert all(op.ms is not None for op in row.per_op if op.macs)
    assert all(op.ms is None or op.kernel for op in row.per_op)


def test_without_being_asked_for_nothing_is_profiled(foreign: Path, quick: Protocol) -> None:
    row = bench.measure(Job(foreign, protocol=quick))
    assert (row.per_op, row.per_op_about, row.per_op_reason) == ((), None, "")


def test_a_row_of_an_older_version_is_read(foreign: Path, quick: Protocol) -> None:
    data = schema.encode(bench.measure(Job(foreign, protocol=quick)))
    old = {key: value for key, value in data.items() if not key.startswith("per_op")}
    assert schema.decode(Measurement, old, where="row").per_op == ()


def test_a_profiler_that_dies_costs_the_times_and_not_the_row(
    foreign: Path, interpreter: Callable[[str], Path], tmp_path: Path
) -> None:
    real, stand_in = ThisMachine().python, interpreter("kill -SEGV $$")
    script = tmp_path / "either"
    script.write_text(
        f'#!/bin/sh\ncase "$4" in *profiler) exec {stand_in} "$@";; esac\nexec {real} "$@"\n'
    )
    script.chmod(0o755)
    row = bench.measure(Job(foreign, protocol=PER_OP), ThisMachine(script))
    assert row.latency_ms is not None
    assert row.per_op == ()
    assert "SIGSEGV" in row.per_op_reason


def test_a_runtime_without_a_profiler_says_so() -> None:
    answer = {"error": {"kind": "no_profiler", "text": "tflite-runtime has no profiler"}}
    with pytest.raises(InputError, match=r"no times of its operations .*measure it with litert"):
        read_profile(answer, model=Path("a.tflite"), runtime="tflite-runtime")


def test_a_runtime_that_is_not_installed_is_named_with_its_extra() -> None:
    answer = {"error": {"kind": "no_runtime", "text": "ModuleNotFoundError: ai_edge_litert"}}
    with pytest.raises(MissingExtra, match="tflite"):
        read_profile(answer, model=Path("a.tflite"), runtime="litert")


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"schema": "edgecnn/worker/1"},
        {"schema": "edgecnn/profiler/1", "kernels": 3},
        {"schema": "edgecnn/profiler/1", "runtime_version": "1", "method": "m", "runs": 1,
         "plain_ms": 1, "inference_ms": 1, "outside_ms": 0,
         "kernels": [{"kernel": "a", "name": "", "node": "0", "part": None, "ms": 1}]},
    ],
)  # fmt: skip
def test_an_answer_that_is_not_as_agreed_is_refused(answer: dict[str, object]) -> None:
    with pytest.raises(InputError, match="a bad Profile"):
        read_profile(answer, model=Path("a.tflite"), runtime="litert")


def kernel(
    kind: str, name: str = "", *, node: int | None = None, part: int | None = None
) -> Kernel:
    return Kernel(kernel=kind, name=name, node=node, part=part, ms=1.0)


def test_a_kernel_of_no_operation_of_the_file_gets_a_line_of_its_own(foreign: Path) -> None:
    graph = read_graph(foreign)
    rows = by_operation(
        [kernel("CONV_2D", node=0), kernel("CONV_2D", node=999), kernel("SOFTMAX", node=0)], graph
    )
    assert rows[0].ms == 1.0
    assert [(row.operation, row.ms) for row in rows[len(graph.operators) :]] == [
        ("CONV_2D", 1.0),
        ("SOFTMAX", 1.0),
    ]


@pytest.mark.tensorflow
def test_a_node_that_onnxruntime_renamed_is_found_again(tiny_files: Path) -> None:
    graph = read_graph(tiny_files / "tiny-float32.onnx")
    places = {operator.node: place for place, operator in enumerate(graph.operators)}
    first = next(o for o in graph.operators if o.name == "Conv")
    last = next(o for o in graph.operators if set(o.inputs) & set(first.outputs))
    output = graph.tensors[last.outputs[0]].name
    for name in (f"{first.node}_token_3", f"{first.node}_quant", f"{output}_nchwc"):
        rows = by_operation([kernel("Conv", name)], graph)
        assert [at for at, row in enumerate(rows) if row.ms] == [places[first.node]]
