"""The profiling process: real runtimes, and events that are not theirs."""

from __future__ import annotations

import ast
import ctypes
import struct
import sys
from pathlib import Path
from typing import Any

import pytest

from edgecnn.bench import ThisMachine, kernels, onnx_trace, profiler, worker
from edgecnn.bench.kernels import Kernel


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


def test_it_needs_numpy_its_siblings_and_a_runtime_alone() -> None:
    named = set()
    for module in (profiler, kernels, onnx_trace):
        tree = ast.parse(Path(module.__file__).read_text(), feature_version=(3, 9))
        for item in ast.walk(tree):
            if isinstance(item, ast.Import):
                named |= {alias.name for alias in item.names}
            elif isinstance(item, ast.ImportFrom) and item.module == "edgecnn.bench":
                named |= {f"edgecnn.bench.{alias.name}" for alias in item.names}
            elif isinstance(item, ast.ImportFrom):
                named.add(str(item.module))
    siblings = {f"edgecnn.bench.{name}" for name in ("worker", "kernels", "onnx_trace")}
    assert {name for name in named if name.startswith("edgecnn")} == siblings
    assert {name.partition(".")[0] for name in named} - set(sys.stdlib_module_names) == {
        "edgecnn",
        "numpy",
        "onnxruntime",
    }


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
    with pytest.raises(worker.WorkerError, match="another LiteRT"):
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
