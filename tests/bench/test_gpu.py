"""What a GPU's runtime tells, and whether its answers are the CPU's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.bench import gpu, gpu_runtimes, worker
from edgecnn.bench.vulkan import vulkan_devices

FLOAT, INTEGER = float(ord("f")), float(ord("u"))
CHOSEN = (
    "I0 environment.cc:532] Selected adapter: SwiftShader Device (Subzero), arch=swiftshader, "
    "vendor=google, backend=Vulkan, adapterType=CPU / Software\n"
)


def expected(values: Any, kind: float = FLOAT) -> list[list[float]]:
    return [[*np.ravel(values).astype(float).tolist(), kind]]


def test_answers_that_differ_by_rounding_are_the_same() -> None:
    right = np.array([[0.7, 0.2, 0.1]], np.float32)
    assert gpu.difference(expected(right), [right.astype(np.float16)]) == ""


def test_an_integer_network_may_be_a_few_steps_off() -> None:
    right = np.array([[200, 40, 10]], np.uint8)
    assert gpu.difference(expected(right, INTEGER), [right + np.uint8(9)]) == ""
    assert "off by" in gpu.difference(expected(right, INTEGER), [right + np.uint8(40)])


def test_a_network_that_overflows_in_float16_is_caught() -> None:
    """The same layers in both precisions: a million in the middle, and back."""
    random = np.random.default_rng(0)
    image = random.uniform(0, 255, (1, 64))
    up, down = random.normal(0, 200, (64, 32)), random.normal(0, 1e-4, (32, 4))

    def infer(dtype: type) -> Any:
        with np.errstate(over="ignore", invalid="ignore"):
            middle = np.maximum(image.astype(dtype) @ up.astype(dtype), 0)
            return middle @ down.astype(dtype)

    right, overflown = infer(np.float32), infer(np.float16)
    assert np.isfinite(right).all()
    assert "too large for float16" in gpu.difference(expected(right), [overflown])


@pytest.mark.parametrize(
    ("right", "got", "told"),
    [
        ([1.0, 2.0], [1.0, 2.1], "off by 5 %"),
        ([1.0, 2.0], [1.0, np.nan], "not finite"),
        ([1.0, np.inf], [1.0, np.inf], "the CPU's own answer"),
        ([1.0, 2.0], [1.0, 2.0, 3.0], "3 values instead of 2"),
        ([0.0, 0.0], [0.0, 0.5], "off by 50 %"),
    ],
)
def test_other_answers_are_told_apart(right: list[float], got: list[float], told: str) -> None:
    assert told in gpu.difference(expected(right), [np.array(got, np.float32)])


def test_litert_counts_what_the_gpu_took() -> None:
    note = "1 operations will run on the GPU, and the remaining 5 operations will run on the CPU."
    told = gpu_runtimes.litert_delegation(CHOSEN + note, whole=False, nodes=6)
    assert (told["delegated_nodes"], told["total_nodes"]) == (1, 6)
    assert told["gpu"] == "SwiftShader Device (Subzero)"
    assert told["gpu_kind"] == "CPU / Software"
    told = gpu_runtimes.litert_delegation(CHOSEN, whole=True, nodes=27)
    assert (told["delegated_nodes"], told["total_nodes"]) == (27, 27)


@pytest.mark.parametrize(
    ("notes", "whole"),
    [
        ("", False),
        (CHOSEN, False),
        ("0 operations will run on the GPU, and the remaining 6 operations will run", True),
    ],
)
def test_a_gpu_that_took_nothing_is_no_gpu_row(notes: str, whole: bool) -> None:
    with pytest.raises(worker.WorkerError) as caught:
        gpu_runtimes.litert_delegation(notes, whole, 6)
    assert caught.value.kind == "fell_back"


@pytest.mark.tensorflow
def test_onnx_runtimes_silent_fall_back_is_caught(tiny_files: Path) -> None:
    import onnxruntime

    path = str(tiny_files / "tiny-float32.onnx")
    feed = {"image": np.zeros((1, 32, 32, 3), np.float32)}
    told = gpu_runtimes.onnx_delegation(onnxruntime, path, "CPUExecutionProvider", feed)
    assert told["delegated_nodes"] == told["total_nodes"] > 5
    with pytest.warns(UserWarning, match="WebGpu"), pytest.raises(worker.WorkerError) as caught:
        gpu_runtimes.onnx_delegation(onnxruntime, path, "WebGpuExecutionProvider", feed)
    assert caught.value.kind == "fell_back"
    assert "0 of " in str(caught.value)


def test_notes_are_collected_and_stderr_is_given_back(capfd: pytest.CaptureFixture[str]) -> None:
    notes = gpu_runtimes.Notes()
    with notes.taken():
        os.write(2, b"of native code")
    os.write(2, b"afterwards")
    assert notes.text == "of native code"
    assert capfd.readouterr().err == "afterwards"


def test_a_machine_without_a_driver_has_no_vulkan_device(tmp_path: Path) -> None:
    program = "from edgecnn.bench.vulkan import vulkan_devices; print(vulkan_devices())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "VK_DRIVER_FILES": str(tmp_path / "nothing.json")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
    assert isinstance(vulkan_devices(), list)
