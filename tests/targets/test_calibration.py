from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.bench.roofline import Load
from edgecnn.bench.work import KINDS, Work
from edgecnn.core.device import Device, devices
from edgecnn.targets.calibration import (
    START,
    Case,
    case_of,
    fit,
    predict_ms,
    read_calibration,
    supported,
)
from edgecnn.targets.published import published

ROWS = published()
CALIBRATION = read_calibration()
BOARDS = [device for device in devices().values() if device.compute]
SIZES = st.integers(0, 10**9)
WORKS = st.lists(
    st.builds(Work, kind=st.sampled_from(KINDS), macs=SIZES, moved=SIZES), min_size=1, max_size=8
)


def milliseconds(work: list[Work], device: Device, *, threads: int = 1) -> float:
    load = Load.of(work)
    clock = float(device.cpu.clock_mhz or 0)
    case = Case(
        load=load, device=device, factor="xnnpack float32", threads=threads, clock_mhz=clock
    )
    return float(predict_ms([case], CALIBRATION.parameters)[0])


def test_each_published_latency_says_where_it_is_from() -> None:
    assert len(ROWS) > 100
    assert all(row.source and row.ms > 0 for row in ROWS)
    assert all(row.device in devices() and supported(row.factor) for row in ROWS)


def test_stored_parameters_are_the_fit() -> None:
    assert fit(ROWS) == pytest.approx(CALIBRATION.parameters, rel=1e-3)


@pytest.mark.parametrize("place", [0, 22, 70, 145])
def test_a_stored_error_is_that_of_a_fit_without_the_row(place: int) -> None:
    parameters = fit([row for other, row in enumerate(ROWS) if other != place])
    (predicted,) = predict_ms([case_of(ROWS[place])], parameters)
    expected = CALIBRATION.errors.row[place]
    assert predicted / ROWS[place].ms == pytest.approx(expected, rel=1e-2)


def test_a_stored_error_of_a_board_is_that_of_a_fit_without_it() -> None:
    out = [place for place, row in enumerate(ROWS) if row.device == "raspberry-pi-zero-2-w"]
    parameters = fit([row for place, row in enumerate(ROWS) if place not in set(out)])
    predicted = predict_ms([case_of(ROWS[place]) for place in out], parameters)
    ratios = predicted / [ROWS[place].ms for place in out]
    assert ratios == pytest.approx([CALIBRATION.errors.device[place] for place in out], rel=1e-2)


def test_predictions_for_the_pi_4_and_5_hold_what_is_promised() -> None:
    places = [p for p, row in enumerate(ROWS) if row.device in ("raspberry-pi-4", "raspberry-pi-5")]
    off = np.abs(np.log([CALIBRATION.errors.row[place] for place in places]))
    reach = np.quantile(np.abs(np.log(CALIBRATION.errors.network)), 0.9)
    assert len(places) > 80
    assert math.exp(np.median(off)) <= 1.25
    assert np.mean(off <= reach) >= 0.8


@given(work=WORKS, more=SIZES, place=st.integers(0, 7), board=st.sampled_from(BOARDS))
def test_more_work_is_never_predicted_faster(
    work: list[Work], more: int, place: int, board: Device
) -> None:
    place %= len(work)
    before = milliseconds(work, board)
    for changed in (
        dataclasses.replace(work[place], macs=work[place].macs + more),
        dataclasses.replace(work[place], moved=work[place].moved + more),
    ):
        assert (
            milliseconds([*work[:place], changed, *work[place + 1 :]], board) >= before * 0.999999
        )
    assert milliseconds([*work, Work(kind="other", macs=0, moved=more)], board) > before


@given(work=WORKS, share=st.floats(1.0, 3.0), board=st.sampled_from(BOARDS))
def test_a_faster_clock_is_never_predicted_slower(
    work: list[Work], share: float, board: Device
) -> None:
    slow = Case(
        load=Load.of(work), device=board, factor="xnnpack float32", threads=1, clock_mhz=1000.0
    )
    fast = dataclasses.replace(slow, clock_mhz=1000.0 * share)
    before, after = predict_ms([slow, fast], CALIBRATION.parameters)
    assert after <= before * 1.000001


@given(work=WORKS, threads=st.integers(1, 3), board=st.sampled_from(BOARDS))
def test_more_threads_are_never_predicted_slower(
    work: list[Work], threads: int, board: Device
) -> None:
    assert milliseconds(work, board, threads=threads + 1) <= milliseconds(
        work, board, threads=threads
    )


def test_a_fit_finds_the_parameters_that_made_the_latencies() -> None:
    true = {name: value * 1.2 for name, value in START.items()} | {"thread_exponent": 0.5}
    made = predict_ms([case_of(row) for row in ROWS], true)
    rows = [dataclasses.replace(row, ms=float(ms)) for row, ms in zip(ROWS, made, strict=True)]
    found = predict_ms([case_of(row) for row in ROWS], fit(rows))
    assert found == pytest.approx(made, rel=0.05)
