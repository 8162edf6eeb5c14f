from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.report import scale

sizes = st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=8)


@given(sizes)
def test_larger_values_lie_further_along(values: list[float]) -> None:
    axis = scale.from_zero(values, start=40, end=300)
    places = [axis(value) for value in sorted(values)]
    assert places == sorted(places)
    assert all(40 <= place <= 300 for place in places)


@given(sizes)
def test_an_axis_has_a_few_distinct_labels(values: list[float]) -> None:
    axis = scale.from_zero(values, start=0, end=300)
    assert 1 <= len(axis.ticks) <= 16
    if not axis.log:
        text = scale.tick_format(axis.ticks)
        assert len({text(tick) for tick in axis.ticks}) == len(axis.ticks)


@given(st.lists(st.floats(0, 100), max_size=8))
def test_shares_never_leave_their_bounds(values: list[float]) -> None:
    axis = scale.around(values, start=200, end=10, within=(0, 100))
    assert axis.low >= 0
    assert axis.high <= 100
    assert len(axis.ticks) >= 1
    assert all(10 <= axis(value) <= 200 for value in values)


def test_values_far_apart_get_equal_ratios() -> None:
    axis = scale.from_zero([1.0, 100.0], start=0, end=100)
    assert axis.log
    assert math.isclose(axis(10.0), 50.0, abs_tol=0.1)


def test_close_values_start_at_zero() -> None:
    axis = scale.from_zero([2.0, 4.0], start=0, end=100)
    assert (axis.log, axis.ticks[0]) == (False, 0.0)


@pytest.mark.parametrize(("ticks", "text"), [((0.0, 2.5, 5.0), "2.5"), ((0.0, 20.0, 40.0), "20")])
def test_labels_have_the_decimals_they_need(ticks: tuple[float, ...], text: str) -> None:
    assert scale.tick_format(ticks)(ticks[1]) == text
