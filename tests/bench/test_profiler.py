"""The profiling process: real runtimes, and traces and events that are not theirs."""

from __future__ import annotations

import ast
import ctypes
import struct
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.bench import ThisMachine, profiler

Kernel, Run = profiler.Kernel, profiler.Run


def request_for(path: Path, runtime: str, threads: int = 1) -> dict[str, Any]:
    protocol = {"seconds": 0, "runs": 4, "warmup_seconds": 0, "warmup_runs": 1, "max_seconds": 9}
    return {"model": str(path), "runtime": runtime, "threads": threads, "input": None,
            "protocol": protocol}  # fmt: skip


def answered(request: dict[str, Any]) -> dict[str, Any]:
    """Run the program in a process of its own."""
    return ThisMachine().run({**request, "per_op": True}, timeout_seconds=120)


@pytest.fixture
def foreign(shared: Path) -> Path:
    return shared / "models" / "mobilenet_v1_0.25_128_quant.tflite"


def test_litert_tells_of_each_kernel_inside_its_delegate(foreign: Path, tmp_path: Path) -> None:
    answer = answered(request_for(foreign, "litert", threads=2))
    assert answer["schema"] == profiler.SCHEMA
    kernels = answer["kernels"]
    assert len(kernels) == 31
    assert sum("Convolution" in kernel["kernel"] for kernel in kernels) >= 13
    assert sum(kernel["ms"] for kernel in kernels) < answer["inference_ms"] * 1.5
    assert answer["runs"] >= 1
    assert answer["plain_ms"] > 0


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("name", "runtime"),
    [
        ("tiny-float32.tflite", "litert"),
        ("tiny-int8.tflite", "litert"),
        ("tiny-float32.onnx", "onnxruntime"),
    ],
)
def test_each_runtime_that_has_a_profiler_answers(
    tiny_files: Path, tmp_path: Path, name: str, runtime: str
) -> None:
    answer = answered(request_for(tiny_files / name, runtime))
    assert len(answer["kernels"]) >= 4
    assert all(kernel["ms"] >= 0 for kernel in answer["kernels"])


@pytest.mark.parametrize(
    ("runtime", "content", "kind"),
    [
        ("litert", b"no model at all", "bad_file"),
        ("onnxruntime", b"no model at all", "bad_file"),
        ("tflite-runtime", b"", "no_profiler"),
    ],
)
def test_what_cannot_be_profiled_is_an_answer_too(
    tmp_path: Path, runtime: str, content: bytes, kind: str
) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    answer = answered(request_for(path, runtime))
    assert answer["error"]["kind"] == kind


def test_it_needs_numpy_its_sibling_and_a_runtime_alone() -> None:
    tree = ast.parse(Path(profiler.__file__).read_text(), feature_version=(3, 9))
    named = [
        alias.name.partition(".")[0]
        for item in ast.walk(tree)
        if isinstance(item, ast.Import)
        for alias in item.names
    ]
    named += [item.module or "" for item in ast.walk(tree) if isinstance(item, ast.ImportFrom)]
    assert {name for name in named if name.startswith("edgecnn")} == {"edgecnn.bench"}
    assert {name.partition(".")[0] for name in named} - set(sys.stdlib_module_names) == {
        "edgecnn",
        "numpy",
        "onnxruntime",
    }


def test_the_middle_half_is_deaf_to_outliers() -> None:
    assert profiler.middle([1.0, 2.0, 2.0, 3.0, 900.0, 2.0, 2.0, 0.0]) == 2.0


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_the_middle_lies_within_the_values(values: list[float]) -> None:
    assert min(values) * (1 - 1e-9) <= profiler.middle(values) <= max(values) * (1 + 1e-9)


def test_runs_with_other_kernels_than_most_do_not_count() -> None:
    usual, odd = Kernel("a", "", 0, None), Kernel("b", "", 0, None)
    runs = [Run(3.0, [(usual, 2.0)])] * 3 + [Run(90.0, [(odd, 90.0)])]
    found = profiler.summary(runs)
    assert (found["runs"], found["inference_ms"], found["outside_ms"]) == (3, 3.0, 1.0)
    assert [kernel["kernel"] for kernel in found["kernels"]] == ["a"]


@pytest.mark.parametrize("runs", [[], [Run(1.0, [])]])
def test_a_profiler_that_saw_nothing_is_none(runs: list[Any]) -> None:
    with pytest.raises(profiler.worker.WorkerError, match="told of no"):
        profiler.summary(runs)


# --------------------------------------------------------------- ONNX Runtime's trace


@pytest.mark.parametrize("text", ["", "no JSON", '{"a": 1}', "[1, 2]", "[" * 9000, '"text"'])
def test_a_trace_that_is_not_one_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "trace.json"
    path.write_text(text)
    with pytest.raises(profiler.worker.WorkerError, match="trace"):
        profiler.read_trace(path)


def test_kernels_belong_to_the_inference_that_ends_after_them() -> None:
    def kernel(name: str, microseconds: Any) -> dict[str, Any]:
        return {"cat": "Node", "name": f"{name}_kernel_time", "dur": microseconds,
                "args": {"op_name": "Conv"}}  # fmt: skip

    end = {"cat": "Session", "name": "model_run", "dur": 5000}
    fence = {"cat": "Node", "name": "a_fence_before", "dur": 0}
    runs = list(profiler.traced_runs([kernel("a", 1000), fence, end, kernel("a", 2000), end]))
    assert [run.kernels for run in runs] == [
        [(Kernel("Conv", "a", None, None), 1.0005)],  # half a microsecond is cut off on average
        [(Kernel("Conv", "a", None, None), 2.0005)],
    ]


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["cat", "name", "dur", "args"]),
            st.none() | st.integers() | st.text() | st.lists(st.integers()),
        )
    )
)
def test_events_of_any_form_are_read_without_harm(events: list[Any]) -> None:
    assert all(isinstance(run, Run) for run in profiler.traced_runs(events))


# --------------------------------------------------------------- LiteRT's events


def event(kind: int, tag: Any, took: int, node: int, *, memory: int) -> bytes:
    """One event as a build lays it out that measures so many numbers of memory."""
    place = ctypes.cast(tag, ctypes.c_void_p).value
    head = struct.pack("=QiiQQ", place, kind, 0, 12345, took)
    return head + bytes(8 * memory) + struct.pack("=QQii", node, 0, 1, 0)


@pytest.mark.parametrize("memory", [0, 4, 6, 8])
def test_events_are_read_whatever_a_build_measures_of_memory(memory: int) -> None:
    tag = ctypes.create_string_buffer(b"CONV_2D")
    array = b"".join(event(2, tag, 10 * i, i, memory=memory) for i in range(1, 4))
    space = array.ljust(3 * profiler.MAX_EVENT, b"\xff")
    found = profiler.read_events(space, 3)
    assert found == [(2, "CONV_2D", 10 * i, i) for i in range(1, 4)]


@pytest.mark.parametrize("content", [b"", b"\0" * 48, b"\7" * 300, b"\2" * 96])
def test_events_of_another_form_are_refused_before_any_address_is_followed(content: bytes) -> None:
    with pytest.raises(profiler.worker.WorkerError, match="another LiteRT"):
        profiler.read_events(content.ljust(2 * profiler.MAX_EVENT, b"\xff"), 2)


def test_no_events_are_none() -> None:
    assert profiler.read_events(b"", 0) == []


def test_a_delegate_counts_anew_in_each_of_its_parts() -> None:
    inside, outside = profiler.IN_DELEGATE[1], profiler.OPERATION
    events = [
        (inside, "a", 1, 0), (inside, "b", 1, 1), (inside, "c", 1, 0),
        (outside, "SOFTMAX", 1, 7), (inside, "d", 1, 3), (outside, "TfLiteDelegate", 9, 8),
    ]  # fmt: skip
    found = [(kernel.kernel, kernel.part, kernel.node) for kernel, _ in profiler.in_parts(events)]
    assert found == [("a", 0, None), ("b", 0, None), ("c", 1, None), ("SOFTMAX", None, 7),
                     ("d", 2, None)]  # fmt: skip


def test_a_delegate_that_tells_nothing_of_its_kernels_is_one_operation() -> None:
    (found,) = profiler.in_parts([(profiler.OPERATION, "TfLiteDelegate", 9000, 8)])
    assert found == (Kernel("TfLiteDelegate", "", 8, None), 9.0)
