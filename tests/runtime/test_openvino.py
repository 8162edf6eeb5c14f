"""OpenVINO answers as the runtimes that files are made for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecnn.bench import Job, Protocol, ThisMachine, measure
from edgecnn.core.errors import InputError
from edgecnn.runtime import load

pytest.importorskip("openvino")
QUICK = Protocol(seconds=0, runs=3, warmup_seconds=0, warmup_runs=1)


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("name", "most"),
    [("tiny-float32.tflite", 1e-5), ("tiny-int8.tflite", 0.03), ("tiny-float32.onnx", 1e-5)],
)
def test_its_answers_are_those_of_the_formats_own_runtime(
    tiny_files: Path, name: str, most: float
) -> None:
    pictures = np.random.default_rng(3).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    theirs, own = (load(tiny_files / name, runtime=r) for r in ("openvino", None))
    assert (theirs.runtime, theirs.input) == ("openvino", own.input)
    assert theirs.output.scale == pytest.approx(own.output.scale)
    assert np.abs(theirs.run(pictures) - own.run(pictures)).max() < most


@pytest.mark.tensorflow
def test_int8_onnx_of_ours_is_answered_as_onnx_runtime_does(exported: list[object]) -> None:
    """Integer operators between quantized tensors, in the form that export writes."""
    path = next(
        Path(str(one.path))  # type: ignore[attr-defined]
        for one in exported
        if str(one.path).endswith("int8.onnx")  # type: ignore[attr-defined]
    )
    pictures = np.random.default_rng(3).integers(0, 256, (16, 32, 32, 3), dtype=np.uint8)
    ours, theirs = (load(path, runtime=r).run(pictures) for r in ("openvino", "onnxruntime"))
    assert np.abs(ours - theirs).max() < 0.05


@pytest.mark.parametrize("content", [b"", b"text", b"\x1c\0\0\0TFL3" + bytes(400)])
def test_a_damaged_file_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load(path, runtime="openvino")
    assert "\n" not in str(caught.value)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["tiny-int8.tflite", "tiny-float32.onnx"])
@pytest.mark.parametrize("batch", [1, 4])
def test_it_is_measured_like_the_others(tiny_files: Path, name: str, batch: int) -> None:
    how = Protocol(seconds=0, runs=3, warmup_seconds=0, warmup_runs=1, batch=batch)
    row = measure(Job(tiny_files / name, runtime="openvino", protocol=how), ThisMachine())
    assert row.latency_ms is not None
    assert (row.runtime, row.delegate) == ("openvino", "CPU")


@pytest.mark.tensorflow
def test_a_delegate_is_none_of_its_options(tiny_files: Path) -> None:
    how = Protocol(seconds=0, runs=3, delegate="xnnpack")
    with pytest.raises(InputError, match="leave that option out"):
        measure(Job(tiny_files / "tiny-int8.tflite", runtime="openvino", protocol=how))
