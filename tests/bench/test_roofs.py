"""Ceilings, measured here on real kernels, and operations held under them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn import bench
from edgecnn.bench import Job, ThisMachine, ceilings, roofs
from edgecnn.core import schema
from edgecnn.core.errors import InputError
from edgecnn.core.measurement import Ceilings, Measurement, OpTime
from edgecnn.runtime.inspect import read_graph

MOST = Ceilings(float32_gmacs=10.0, int8_gmacs=40.0, gb_per_s=2.0)


def operation(macs: int, size: int, *, dtype: str = "float32", ms: float | None = 1.0) -> OpTime:
    return OpTime(
        operation="CONV_2D",
        name="c",
        output_shape=(1, 4),
        dtype=dtype,
        macs=macs,
        kernel="k",
        ms=ms,
        share=0.5,
        bytes=size,
    )


@pytest.mark.parametrize(
    ("one", "roof_ms"),
    [
        (operation(1_000_000, 1_000), 0.1),  # multiplying decides
        (operation(1_000_000, 1_000, dtype="int8"), 0.025),
        (operation(1_000, 1_000_000), 0.5),  # memory decides
        (operation(0, 1_000_000), 0.5),
    ],
)
def test_the_slower_of_both_is_an_operations_roof(one: OpTime, roof_ms: float) -> None:
    (held,) = roofs.under([one], MOST)
    assert held.roof_ms == pytest.approx(roof_ms)
    assert held.roof_share == pytest.approx(roof_ms)


def test_what_ran_nothing_and_what_moves_nothing_has_no_roof() -> None:
    idle, empty = roofs.under([operation(5, 5, ms=None), operation(5, 0)], MOST)
    assert idle.roof_ms is idle.roof_share is empty.roof_ms is empty.intensity is None
    assert roofs.under([operation(5, 5)], None) == (operation(5, 5),)


def test_intensity_is_multiplications_a_byte() -> None:
    assert operation(600, 200).intensity == 3.0


def test_an_operation_reads_its_input_and_weights_and_writes_its_output(shared: Path) -> None:
    graph = read_graph(shared / "models" / "mobilenet_v1_0.25_128_quant.tflite")
    image, kernel, bias, result = 128 * 128 * 3, 8 * 3 * 3 * 3, 8 * 4, 64 * 64 * 8
    assert roofs.bytes_of(graph, graph.operators[0]) == image + kernel + bias + result


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_the_network_that_is_timed_computes_what_it_says(dtype: str) -> None:
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    schemas = pytest.importorskip("ai_edge_litert.schema_py_generated")
    loaded = interpreter.Interpreter(model_content=ceilings.convolution(schemas, dtype))
    loaded.allocate_tensors()
    (source,), (result,) = loaded.get_input_details(), loaded.get_output_details()
    random = np.random.default_rng(1)
    image = random.integers(-3, 4, source["shape"]).astype(source["dtype"])
    loaded.set_tensor(source["index"], image)
    loaded.invoke()
    weights = np.random.default_rng(0).integers(
        -100, 100, (ceilings.CHANNELS, 1, 1, ceilings.CHANNELS)
    )
    right = image.astype(np.int64) @ weights[:, 0, 0].T / 1000
    got = loaded.get_tensor(result["index"]).astype(float)
    if dtype == "int8":
        right = np.clip(np.rint(right * 0.05 / 0.1), -128, 127)
    assert np.abs(got - right).max() <= (1 if dtype == "int8" else 1e-3)


def test_ceilings_are_measured_with_a_row_and_survive_its_json(shared: Path) -> None:
    path = shared / "models" / "mobilenet_v1_0.25_128_quant.tflite"
    how = bench.Protocol(seconds=0, runs=3, warmup_seconds=0, warmup_runs=1, per_op=True)
    row = bench.measure(Job(path, protocol=how))
    assert row.per_op_about is not None
    most = row.per_op_about.ceilings
    assert most is not None
    assert min(most.float32_gmacs, most.int8_gmacs, most.gb_per_s) > 0.1
    timed = [one for one in row.per_op if one.ms is not None and one.bytes]
    assert timed
    assert all(one.roof_ms for one in timed)
    assert schema.loads(Measurement, schema.dumps(row), where="row") == row


class Broken(ThisMachine):
    """A place where ceilings can't be measured."""

    answer: Any = None

    def run(self, request: dict[str, Any], *, timeout_seconds: float) -> dict[str, Any]:
        if "ceilings" not in request:
            return super().run(request, timeout_seconds=timeout_seconds)
        if self.answer is None:
            raise InputError("a worker that failed", where="here", fix="try again")
        return dict(self.answer)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {"error": {"kind": "no_runtime", "text": "ModuleNotFoundError"}},
        {"schema": ceilings.SCHEMA, "gmacs": {}, "gb_per_s": 1.0},
        {"schema": "another", "gmacs": {"float32": 1.0, "int8": 1.0}, "gb_per_s": 1.0},
    ],
)
def test_without_ceilings_there_is_no_percent_and_nothing_is_made_up(answer: Any) -> None:
    place = Broken()
    object.__setattr__(place, "answer", answer)
    assert roofs.measured([operation(5, 5)], {"model": "m", "threads": 1}, place) is None
