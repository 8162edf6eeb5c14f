"""Files in every way that was asked for, on real small files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgecnn import bench, targets
from edgecnn.core.errors import InputError
from edgecnn.flows.benchmarking import ALL, Ways, measure_all

pytestmark = pytest.mark.tensorflow
QUICK = bench.Protocol(seconds=0, runs=2, warmup_seconds=0, warmup_runs=1)


@pytest.fixture
def both(tiny_files: Path) -> list[Path]:
    return [tiny_files / "tiny-int8.tflite", tiny_files / "tiny-float32.onnx"]


def test_every_installed_runtime_measures_the_files_that_it_reads(both: list[Path]) -> None:
    ways = Ways(places=[targets.CpuTarget()], runtime=ALL)
    rows = measure_all(both, ways, protocol=QUICK)
    found = {(row.model, row.runtime) for row in rows}
    there = bench.installed(Path(sys.executable))
    wanted = {("tiny-int8.tflite", "litert"), ("tiny-float32.onnx", "onnxruntime")}
    if "openvino" in there:
        wanted |= {(path.name, "openvino") for path in both}
    if "tflite-runtime" in there:
        wanted |= {("tiny-int8.tflite", "tflite-runtime")}
    assert found == wanted
    assert all(row.latency_ms for row in rows)


def test_each_delegate_and_batch_is_a_row_and_a_file_of_its_own(
    both: list[Path], tmp_path: Path
) -> None:
    ways = Ways(places=[targets.CpuTarget()], delegates=("xnnpack", "none"), batches=(1, 4))
    rows = measure_all(both[:1], ways, protocol=QUICK, out=tmp_path)
    assert [(row.delegate, row.batch) for row in rows] == [
        ("XNNPACK", 1),
        ("XNNPACK", 4),
        ("none", 1),
        ("none", 4),
    ]
    assert len(list(tmp_path.iterdir())) == 4
    assert len({row.variant for row in rows}) == 4


def test_what_a_runtime_cannot_do_is_a_row_that_says_so(both: list[Path]) -> None:
    ways = Ways(places=[targets.CpuTarget()], batches=(4,))
    fits, fixed = measure_all(both, ways, protocol=QUICK)
    assert fits.latency_ms is not None
    assert fixed.latency_ms is None
    assert "takes no batch" in fixed.invalid_reasons[0]


def test_all_runtimes_of_an_unknown_place_are_refused(both: list[Path]) -> None:
    ways = Ways(places=[targets.parse("predicted:pi4")], runtime=ALL)
    with pytest.raises(InputError, match="name one runtime"):
        measure_all(both, ways, protocol=QUICK)


def test_a_python_that_is_none_is_one_line(both: list[Path], tmp_path: Path) -> None:
    ways = Ways(places=[targets.CpuTarget(tmp_path / "no-python")], runtime=ALL)
    with pytest.raises(InputError, match="check --python"):
        measure_all(both, ways, protocol=QUICK)


def test_nothing_of_it_is_predicted(both: list[Path]) -> None:
    ways = Ways(places=[targets.parse("predicted:pi4")], batches=(4,))
    (row,) = measure_all(both[:1], ways, protocol=QUICK)
    assert "--batch where nothing runs" in row.invalid_reasons[0]
