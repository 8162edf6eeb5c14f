"""A checkpoint measured as it is, in TensorFlow."""

from __future__ import annotations

from typing import Any

import pytest

from edgecnn import bench, targets
from edgecnn.core.errors import InputError
from edgecnn.flows.benchmarking import Ways, measurable, measure_all

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]
QUICK = bench.Protocol(seconds=0, runs=2, warmup_seconds=0, warmup_runs=1)


def test_it_is_measured_beside_its_files(checkpoint: Any, exported: list[Any]) -> None:
    (path,) = measurable([checkpoint.path])
    file = next(one.path for one in exported if str(one.path).endswith("float32.tflite"))
    ways = Ways(places=[targets.CpuTarget()])
    files, network = measure_all([path, file], ways, protocol=QUICK)
    assert (network.model, network.format, network.scheme) == ("digits", "keras", "float32")
    assert (network.runtime, network.target, network.delegate) == ("tensorflow", "cpu", "none")
    assert network.latency_ms is not None
    assert network.sha256 == checkpoint.card.model_sha256
    assert files.format == "tflite"


def test_without_a_gpu_tensorflow_measures_nothing_on_one(checkpoint: Any) -> None:
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        pytest.skip("a GPU is there")
    ways = Ways(places=[targets.parse("gpu")])
    (row,) = measure_all(measurable([checkpoint.path]), ways, protocol=QUICK)
    assert row.latency_ms is None
    assert (row.model, row.target) == ("digits", "gpu")
    assert "TensorFlow sees no GPU" in row.invalid_reasons[0]


def test_a_board_runs_files_and_no_checkpoints(checkpoint: Any) -> None:
    ways = Ways(places=[targets.parse("predicted:pi4")])
    (row,) = measure_all(measurable([checkpoint.path]), ways, protocol=QUICK)
    assert "export it, and measure the file" in row.invalid_reasons[0]


def test_nothing_to_measure_is_one_line(tmp_path: Any) -> None:
    with pytest.raises(InputError, match="export some first"):
        measurable([tmp_path])
