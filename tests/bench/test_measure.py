from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from edgecnn import bench
from edgecnn.bench import Job, Protocol
from edgecnn.core import schema
from edgecnn.core.errors import InputError, MissingExtra
from edgecnn.core.measurement import Accuracy, Measurement


@pytest.fixture
def foreign(shared: Path) -> Path:
    return shared / "models" / "mobilenet_v1_0.25_128_quant.tflite"


def test_a_row_stands_alone(foreign: Path, quick: Protocol) -> None:
    accuracy = Accuracy(data="photos", n=10, top1=0.9)
    row = bench.measure(Job(foreign, protocol=quick, threads=2, accuracy=accuracy))
    assert row.latency_ms is not None
    assert (row.latency_ms.runs, row.latency_ms.warmup_runs) == (3, 1)
    assert row.latency_ms.init > 0
    assert row.latency_ms.first > 0
    assert (row.format, row.scheme, row.target) == ("tflite", "unknown", "cpu")
    assert (row.runtime, row.threads, row.delegate) == ("litert", 2, "XNNPACK")
    assert row.total_nodes == 31
    assert row.delegated_nodes is not None
    assert 0 < row.delegated_nodes <= row.total_nodes
    assert row.preprocess_ms is not None
    assert row.postprocess_ms is not None
    assert row.memory_mb is not None
    assert row.memory_mb.arena is not None
    assert row.memory_mb.arena < row.memory_mb.baseline < row.memory_mb.rss_peak
    assert row.accuracy == accuracy
    assert row.protocol["runs"] == 3
    assert not row.valid
    assert "too few runs: 3 of 64" in row.invalid_reasons


def test_a_row_survives_its_json(foreign: Path, quick: Protocol) -> None:
    row = bench.measure(Job(foreign, protocol=quick))
    assert schema.loads(Measurement, schema.dumps(row), where="row") == row


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("name", "runtime", "delegate"),
    [
        ("tiny-float32.tflite", "litert", "XNNPACK"),
        ("tiny-int8.tflite", "litert", "XNNPACK"),
        ("tiny-float32.onnx", "onnxruntime", "CPUExecutionProvider"),
    ],
)
def test_each_format_has_its_default_runtime(
    tiny_files: Path, quick: Protocol, name: str, runtime: str, delegate: str
) -> None:
    row = bench.measure(Job(tiny_files / name, protocol=quick))
    assert (row.runtime, row.delegate) == (runtime, delegate)
    assert row.latency_ms is not None
    assert (row.memory_mb is not None) == sys.platform.startswith("linux")


def test_the_content_decides_the_format_not_the_name(
    foreign: Path, tmp_path: Path, quick: Protocol
) -> None:
    renamed = tmp_path / "model.onnx"
    shutil.copy(foreign, renamed)
    assert bench.measure(Job(renamed, protocol=quick)).format == "tflite"


def test_an_unknown_runtime_offers_the_nearest(foreign: Path) -> None:
    with pytest.raises(InputError, match="try litert"):
        bench.measure(Job(foreign, runtime="litrt"))


def test_a_runtime_for_another_format_is_refused(foreign: Path) -> None:
    with pytest.raises(InputError, match="use --runtime litert"):
        bench.measure(Job(foreign, runtime="onnxruntime"))


@pytest.mark.parametrize("threads", [0, -1, 100_000])
def test_a_senseless_number_of_threads_is_refused(foreign: Path, threads: int) -> None:
    with pytest.raises(InputError, match="give 1 to 256"):
        bench.measure(Job(foreign, threads=threads))


class Answers:
    """A place that gives prepared answers, one a runtime."""

    name = "cpu"

    def __init__(self, **by_runtime: dict[str, Any]) -> None:
        self._answers = by_runtime

    def run(self, request: dict[str, Any], *, timeout_seconds: float) -> dict[str, Any]:
        assert timeout_seconds > 0
        return self._answers[request["runtime"].replace("-", "_")]


ABSENT = {"error": {"kind": "no_runtime", "text": "ModuleNotFoundError: no such module"}}


def good_answer(path: Path, quick: Protocol) -> dict[str, Any]:
    request = {
        "model": str(path),
        "runtime": "litert",
        "threads": 1,
        "input": None,
        "protocol": schema.encode(quick),
    }
    return bench.ThisMachine().run(request, timeout_seconds=60)


def test_the_older_runtime_stands_in_where_only_it_is_installed(
    foreign: Path, quick: Protocol
) -> None:
    place = Answers(litert=ABSENT, tflite_runtime=good_answer(foreign, quick))
    assert bench.measure(Job(foreign, protocol=quick), place).runtime == "tflite-runtime"


def test_with_no_runtime_at_all_the_default_one_is_asked_for(foreign: Path) -> None:
    with pytest.raises(MissingExtra, match=r"edgecnn\[tflite\]"):
        bench.measure(Job(foreign), Answers(litert=ABSENT, tflite_runtime=ABSENT))


def test_an_answer_of_nan_makes_the_row_invalid(foreign: Path, quick: Protocol) -> None:
    place = Answers(litert=good_answer(foreign, quick) | {"finite": False})
    row = bench.measure(Job(foreign, protocol=quick), place)
    assert row.invalid_reasons[0] == "wrong answer: the output holds NaN or infinity"


def test_an_input_that_is_no_image_has_no_stages(foreign: Path, quick: Protocol) -> None:
    place = Answers(litert=good_answer(foreign, quick) | {"input_shape": [1, 40]})
    row = bench.measure(Job(foreign, protocol=quick), place)
    assert (row.preprocess_ms, row.postprocess_ms) == (None, None)


@pytest.mark.parametrize("name", ["m.tflite", "m.onnx"])
@pytest.mark.parametrize("content", [b"", b"some text", bytes(4000)])
def test_a_file_that_is_no_model_is_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        bench.measure(Job(path))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="check the path"):
        bench.measure(Job(tmp_path / "nothing.tflite"))


@pytest.mark.parametrize("place", [0.02, 0.5, 0.97])
def test_a_damaged_file_gives_a_row_or_one_line(
    foreign: Path, tmp_path: Path, quick: Protocol, place: float
) -> None:
    """Also where the native runtime crashes on it."""
    data = bytearray(foreign.read_bytes())
    at = int(place * len(data))
    data[at : at + 64] = bytes(byte ^ 0xFF for byte in data[at : at + 64])
    path = tmp_path / "flipped.tflite"
    path.write_bytes(data)
    try:
        row = bench.measure(Job(path, protocol=quick))
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is fine
    else:
        assert row.latency_ms is not None
