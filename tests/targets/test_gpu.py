"""The GPU target on Chromium's software Vulkan device."""

from __future__ import annotations

import ctypes
import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgecnn import bench, targets
from edgecnn.bench import Job, Protocol, ThisMachine
from edgecnn.core.errors import InputError
from edgecnn.core.measurement import Measurement

DRIVER = Path("/usr/lib/chromium/vk_swiftshader_icd.json")
QUICK = Protocol(seconds=0, runs=3, warmup_seconds=0, warmup_runs=1)
pytestmark = [pytest.mark.tensorflow, pytest.mark.vulkan]


@pytest.fixture(autouse=True)
def device(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ai_edge_litert")
    try:
        ctypes.CDLL("libvulkan.so.1")
    except OSError:
        pytest.skip("no Vulkan loader: install libvulkan1")
    if not DRIVER.is_file():
        pytest.skip("no software Vulkan device: install chromium")
    monkeypatch.setenv("VK_DRIVER_FILES", str(DRIVER))


def row_of(path: Path, python: Path = Path(sys.executable)) -> Measurement:
    return targets.parse("gpu", python=python).measure(Job(path, protocol=QUICK))


@pytest.mark.parametrize("name", ["tiny-float32.tflite", "tiny-int8.tflite"])
def test_what_ran_where_is_read_from_litert(tiny_files: Path, name: str) -> None:
    row = row_of(tiny_files / name)
    assert (row.target, row.runtime, row.delegate) == ("gpu", "litert", "WebGPU")
    assert row.delegated_nodes == row.total_nodes
    assert row.total_nodes is not None
    assert row.total_nodes >= 9
    assert row.latency_ms is not None
    # A software device is never taken for a GPU.
    assert row.machine["gpu"].startswith("SwiftShader")
    assert row.invalid_reasons[0].startswith("no GPU: SwiftShader")


def test_what_stays_on_the_cpu_is_counted(tiny_files: Path) -> None:
    row = row_of(tiny_files / "tiny-mixed.tflite")
    assert row.delegated_nodes is not None
    assert row.total_nodes is not None
    assert 0 < row.delegated_nodes < row.total_nodes


def test_numbers_beyond_float16_give_the_right_answer_or_no_times(tiny_files: Path) -> None:
    """A device that computes in float16 overflows here; this one has float32 alone."""
    try:
        row = row_of(tiny_files / "tiny-overflow.tflite")
    except InputError as error:
        assert "too large for float16" in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert row.latency_ms is not None


def test_other_answers_than_the_cpus_give_no_times(tiny_files: Path) -> None:
    request: dict[str, Any] = {
        "model": str(tiny_files / "tiny-float32.tflite"),
        "runtime": "litert",
        "threads": 1,
        "input": None,
        "protocol": dataclasses.asdict(QUICK),
    }
    right = ThisMachine().run({**request, "device": "cpu"}, timeout_seconds=60)["outputs"]
    assert len({tuple(one) for one in right}) == 3
    wrong = [[one[0] + 0.3, *one[1:]] for one in right]
    asked = {**request, "device": "gpu", "expected": wrong}
    answer = ThisMachine().run(asked, timeout_seconds=60)
    assert answer["error"]["kind"] == "wrong_answer"
    assert "samples_ms" not in answer


def test_without_a_device_one_line_says_what_to_do(
    tiny_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VK_DRIVER_FILES", str(tmp_path / "nothing.json"))
    with pytest.raises(InputError, match=r"no GPU to measure with .*use --target cpu"):
        row_of(tiny_files / "tiny-float32.tflite")


def test_an_onnx_runtime_for_the_cpu_is_no_gpu(tiny_files: Path) -> None:
    with pytest.raises(InputError, match="CPUExecutionProvider alone"):
        row_of(tiny_files / "tiny-float32.onnx")


@pytest.mark.parametrize(
    ("how", "fix"), [({"batch": 4}, "--batch 1"), ({"delegate": "cuda"}, "leave that option out")]
)
def test_what_cannot_be_done_there_is_said(tiny_files: Path, how: dict[str, Any], fix: str) -> None:
    protocol = dataclasses.replace(QUICK, **how)
    with pytest.raises(InputError, match=fix):
        targets.parse("gpu").measure(Job(tiny_files / "tiny-float32.tflite", protocol=protocol))


@pytest.mark.slow
@pytest.mark.network
def test_onnx_runtime_on_webgpu_is_measured_or_says_that_it_fell_back(
    tiny_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an environment of its own: its package owns the same module as the one for CPUs."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "v"], check=True)
    python = tmp_path / "v" / "bin" / "python"
    install = [python, "-m", "pip", "install", "-q", "onnxruntime-webgpu", "numpy"]
    subprocess.run(install, check=True, capture_output=True)
    row = row_of(tiny_files / "tiny-float32.onnx", python)
    assert row.delegate == "WebGpuExecutionProvider"
    assert row.delegated_nodes is not None
    assert row.delegated_nodes > 0
    assert row.machine["gpu"].startswith("SwiftShader")
    assert bench.installed(python) == {"onnxruntime"}
    monkeypatch.setenv("VK_DRIVER_FILES", str(tmp_path / "nothing.json"))
    with pytest.raises(InputError, match=r"did not run on the GPU"):
        row_of(tiny_files / "tiny-float32.onnx", python)
