"""Times of operations beside what integers do to them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from edgecnn.core import schema
from edgecnn.core.errors import InputError
from edgecnn.core.measurement import Measurement, OpTime, PerOpAbout
from edgecnn.explain.timing import read_times, with_times
from tests.report.samples import measurement, network

NOISE = network(1.0, 0.5, 0.2)


def op(name: str, ms: float | None) -> OpTime:
    return OpTime(operation="CONV_2D", name=name, output_shape=(1, 4), dtype="int8", macs=10,
                  kernel="GEMM", ms=ms, share=0.0)  # fmt: skip


def row(*operations: OpTime, name: str = "flowers-int8.tflite") -> Measurement:
    about = PerOpAbout(method="a clock", runs=9, plain_ms=1, inference_ms=1, residual_ms=0)
    return dataclasses.replace(measurement(name), per_op=operations, per_op_about=about)


def test_each_layer_gets_the_time_of_what_computes_it() -> None:
    names = [layer.name for layer in NOISE.layers]
    found = with_times(
        NOISE, row(op(names[0], 2.0), op(f"{names[0]}/real", 1.0), op(names[1], None), op("in", 1))
    )
    assert [layer.ms for layer in found.layers] == [3.0, 0.0, None]
    assert found.operations_ms == 4.0
    assert [found.time_share(layer) for layer in found.layers] == [0.75, 0.0, None]
    assert found.timed == "flowers-int8.tflite in litert 2.3.0, 1 thread"


def test_times_of_another_network_are_refused() -> None:
    with pytest.raises(InputError, match=r"no operation of flowers-int8.tflite"):
        with_times(NOISE, row(op("elsewhere", 1.0)))


@pytest.mark.parametrize("several", [False, True])
def test_rows_are_read_from_a_file_of_one_or_of_all(tmp_path: Path, several: bool) -> None:
    timed = [row(op("a", 1.0), name=name) for name in ("flowers-float32.tflite", "b-int8.tflite")]
    path = tmp_path / "bench.json"
    path.write_text(
        json.dumps({"measurements": [schema.encode(one) for one in timed]})
        if several
        else schema.dumps(timed[1])
    )
    assert read_times(path, file="b-int8.tflite") == timed[1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no JSON", "not JSON"),
        ("[1, 2]", "bad Measurement"),
        ('{"traceEvents": []}', "bad Measurement"),
        ('{"measurements": []}', "no times of operations"),
        ('{"measurements": [3]}', "bad Measurement"),
        (schema.dumps(measurement()), "no times of operations"),
    ],
)
def test_something_else_than_our_times_is_refused_in_one_line(
    tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "profile.json"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        read_times(path, file="b")
