from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.core.errors import InputError
from edgecnn.targets.board import Board, find
from edgecnn.targets.requirements import PYTHONS, _applies, download, requirements, runtimes


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("kind", ["tflite", "onnx"])
def test_each_python_gets_each_package_once(kind: str, python: str) -> None:
    lines = requirements(kind, find("pi4"))  # type: ignore[arg-type]
    names = [line.partition("==")[0] for line in lines if _applies(line, python)]
    runtime = "ai-edge-litert" if kind == "tflite" else "onnxruntime"
    assert names == [runtime, "numpy", "pillow"]


def test_a_32_bit_system_gets_the_runtime_that_exists_for_it() -> None:
    device = find("pi3-32bit")
    assert requirements("tflite", device) == ("tflite-runtime==2.14.0",)
    assert runtimes("tflite", device) == ("tflite-runtime",)


def test_onnx_is_refused_for_a_32_bit_system() -> None:
    with pytest.raises(InputError, match=r"ONNX for a 32-bit system.*--format tflite"):
        requirements("onnx", find("pi3-32bit"))


def test_an_unknown_kind_of_machine_is_refused() -> None:
    with pytest.raises(InputError, match="riscv64"):
        requirements("tflite", Board("this", "this", "riscv64"))


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("target", ["pi4", "pi3-32bit"])
def test_the_wheels_are_those_of_the_board(tmp_path: Path, target: str) -> None:
    device = find(target)
    wheels = download(requirements("tflite", device), device, tmp_path, python="3.11")
    ours = [w.name for w in wheels if "any.whl" not in w.name]
    assert ours
    assert all(device.machine in name for name in ours)
