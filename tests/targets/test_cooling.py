from __future__ import annotations

import dataclasses
from typing import Any

from edgecnn.core.measurement import Latency, Measurement
from edgecnn.targets.cooling import Patience, cool, judged, passing

ROW = Measurement(
    model="a.tflite", sha256="0" * 64, bytes=1, format="tflite", scheme="int8", target="ssh:pi4",
    runtime="litert", runtime_version="2.3.0", delegate="XNNPACK", delegated_nodes=1,
    total_nodes=1, threads=1,
    latency_ms=Latency(init=1.0, first=1.0, warmup_runs=1, samples_ms=(1.0,) * 64),
    preprocess_ms=None, postprocess_ms=None, memory_mb=None, accuracy=None,
    machine={"throttled": []}, protocol={}, valid=True, invalid_reasons=(), when="now",
)  # fmt: skip


def sample(throttled: int = 0, celsius: float | None = 50.0, at: float = 0.0) -> dict[str, Any]:
    return {"s": at, "clock_mhz": 1500.0, "temperature_c": celsius, "throttled": throttled}


def test_throttling_in_mid_run_makes_a_row_invalid_whatever_was_seen_before_and_after() -> None:
    row = judged(ROW, [sample(), sample(0x4), sample(0x40000)])
    assert row.invalid_reasons == ("throttled: throttled",)
    assert not row.valid
    assert row.machine["throttled"] == ["throttled"]


def test_throttling_before_the_run_does_not_count() -> None:
    assert judged(ROW, [sample(0x50000), sample(0x50000)]).valid


def test_what_the_worker_saw_is_not_said_twice() -> None:
    seen = dataclasses.replace(
        ROW, valid=False, invalid_reasons=("throttled: clock capped",),
        machine={"throttled": ["clock capped"]},
    )  # fmt: skip
    row = judged(seen, [sample(0x2)])
    assert row.invalid_reasons == ("throttled: clock capped",)
    assert row.machine["throttled"] == ["clock capped"]


def test_an_hour_of_samples_is_thinned_out() -> None:
    row = judged(ROW, [sample(at=float(second)) for second in range(3600)])
    assert len(row.machine["sampled"]) == 120
    assert row.machine["sampled"][1]["s"] == 30.0


def test_reasons_that_may_pass_are_told_from_those_that_stay() -> None:
    hot = dataclasses.replace(ROW, valid=False, invalid_reasons=("wrong answer", "throttled: x"))
    assert passing(hot) == "throttled: x"
    assert passing(dataclasses.replace(hot, invalid_reasons=("too few runs: 3 of 64",))) == ""


class Board:
    """Its sensors, one reading after the other."""

    def __init__(self, *readings: dict[str, Any]) -> None:
        self.readings = list(readings)
        self.waited = 0.0

    def sense(self) -> dict[str, Any]:
        return self.readings.pop(0) if len(self.readings) > 1 else self.readings[0]

    def pause(self, seconds: float) -> None:
        self.waited += seconds


def test_a_hot_board_is_waited_for_until_it_is_as_cool_as_before() -> None:
    board = Board(sample(celsius=80.0), sample(0x8, 60.0), sample(celsius=56.0), sample())
    cool(board.sense, sample(celsius=54.0), Patience(pause=board.pause))
    assert board.waited == 6.0


def test_patience_ends() -> None:
    board = Board(sample(celsius=80.0))
    cool(board.sense, sample(celsius=54.0), Patience(seconds=30.0, pause=board.pause))
    assert board.waited == 30.0


def test_a_board_without_a_thermometer_is_not_waited_for_long() -> None:
    board = Board(sample(celsius=None))
    cool(board.sense, sample(celsius=None), Patience(pause=board.pause))
    assert board.waited == 2.0
