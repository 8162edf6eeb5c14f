from __future__ import annotations

import dataclasses
import itertools
import math
import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.core import schema
from edgecnn.core.errors import InputError
from edgecnn.core.measurement import Latency, Measurement

times = st.lists(st.floats(1e-3, 1e4), min_size=1, max_size=200)


def latency(*samples_ms: float) -> Latency:
    return Latency(init=9.0, first=8.0, warmup_runs=10, samples_ms=samples_ms)


def row(**changes: Any) -> Measurement:
    base = Measurement(
        model="a.tflite",
        sha256="00",
        bytes=1,
        format="tflite",
        scheme="int8",
        target="cpu",
        runtime="litert",
        runtime_version="2.3.0",
        delegate="XNNPACK",
        delegated_nodes=None,
        total_nodes=None,
        threads=1,
        latency_ms=latency(1.0, 2.0),
        preprocess_ms=None,
        postprocess_ms=None,
        memory_mb=None,
        accuracy=None,
        machine={},
        protocol={},
        valid=True,
        invalid_reasons=(),
        when="2026-01-01T00:00:00+00:00",
    )
    return dataclasses.replace(base, **changes)


def test_one_slow_run_does_not_move_the_median() -> None:
    assert latency(4.0, 4.0, 4.0, 90.0).median == 4.0


def test_the_spread_has_no_unit() -> None:
    fast, slow = latency(0.9, 1.0, 1.1, 3.0), latency(9.0, 10.0, 11.0, 30.0)
    assert fast.spread == pytest.approx(slow.spread)


def test_percentiles_lie_between_neighbours() -> None:
    assert latency(1.0, 2.0, 3.0, 4.0, 5.0).percentile(0.9) == pytest.approx(4.6)
    assert latency(3.0).percentile(0.99) == 3.0


@given(times)
def test_percentiles_rise_from_the_least_to_the_most(samples: list[float]) -> None:
    found = [latency(*samples).percentile(share / 20) for share in range(21)]
    assert found[0] == min(samples)
    assert found[-1] == max(samples)
    assert all(a <= b or math.isclose(a, b) for a, b in itertools.pairwise(found))
    assert latency(*samples).percentile(0.5) == pytest.approx(statistics.median(samples))


@pytest.mark.parametrize(
    ("runs", "known"),
    [
        (63, []),
        (64, ["p90", "p95"]),
        (661, ["p90", "p95"]),
        (662, ["p90", "p95", "p99"]),
    ],
)
def test_a_percentile_needs_enough_runs(runs: int, known: list[str]) -> None:
    data = latency(*([1.0] * runs)).to_json()
    assert [name for name in ("p90", "p95", "p99") if data[name] is not None] == known


def test_the_json_has_the_names_of_the_contract() -> None:
    percentiles = {"median", "p90", "p95", "p99"}
    names = {"first", "init", "avg", "min", "max", "std", "runs"} | percentiles
    assert names <= set(latency(1.0, 2.0).to_json())


def test_derived_numbers_are_never_believed() -> None:
    data = schema.encode(row())
    data["latency_ms"] |= {"median": 0.001, "p90": 0.001}
    read = schema.decode(Measurement, data, where="x").latency_ms
    assert read is not None
    assert read.median == 1.5


@pytest.mark.parametrize("samples", [(), (1.0, 0.0), (-1.0,)])
def test_there_is_no_latency_without_time(samples: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="sample"):
        latency(*samples)


@pytest.mark.parametrize(
    "change",
    [
        {"samples_ms": "123"},
        {"samples_ms": ["1", "2"]},
        {"samples_ms": [1, None]},
        {"samples_ms": []},
        {"samples_ms": {"1": 2}},
        {"init": None},
        {"warmup_runs": 1.5},
    ],
)
def test_a_spoilt_latency_is_refused(change: dict[str, Any]) -> None:
    data = schema.encode(row())
    data["latency_ms"] |= change
    with pytest.raises(InputError):
        schema.decode(Measurement, data, where="x")


def test_a_latency_without_samples_is_refused() -> None:
    data = schema.encode(row())
    del data["latency_ms"]["samples_ms"]
    with pytest.raises(InputError, match="has no samples_ms"):
        schema.decode(Measurement, data, where="x")


@pytest.mark.parametrize(("valid", "reasons"), [(True, ("busy",)), (False, ())])
def test_a_row_is_invalid_exactly_with_a_reason(valid: bool, reasons: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="contradict"):
        row(valid=valid, invalid_reasons=reasons)


@pytest.mark.parametrize(
    ("protocol", "batch", "variant"),
    [
        ({}, 1, ""),  # rows of earlier versions
        ({"batch": 1, "delegate": None, "pin": []}, 1, ""),
        ({"batch": 8, "delegate": "none"}, 8, "delegate none, batch 8"),
        ({"pin": [2, 3]}, 1, "cores 2+3"),
        ({"batch": "many", "pin": 7, "delegate": ""}, 1, ""),  # somebody else's JSON
        ({"batch": -4}, 1, ""),
    ],
)
def test_a_row_tells_what_was_asked_beyond_the_defaults(
    protocol: dict[str, Any], batch: int, variant: str
) -> None:
    found = row(protocol=protocol)
    assert (found.batch, found.variant) == (batch, variant)


def test_a_row_of_an_earlier_version_is_read() -> None:
    data = schema.encode(row())
    del data["energy_mj"]
    assert schema.decode(Measurement, data, where="row") == row()
