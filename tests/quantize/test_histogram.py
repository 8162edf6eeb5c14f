"""A histogram whose size, and whose content, does not depend on how the values came."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from edgecnn.quantize.histogram import BINS, Histogram

floats32 = st.floats(-(2.0**100), 2.0**100, width=32)
batches = st.lists(
    npst.arrays(np.float32, st.integers(1, 40), elements=floats32), min_size=1, max_size=6
)


def counted(*values: np.ndarray) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.add(value, float(value.min()), float(value.max()))
    return histogram


def same(one: Histogram, other: Histogram) -> bool:
    return (
        (one.low, one.high, one.zeros) == (other.low, other.high, other.zeros)
        and np.array_equal(one.counts, other.counts)
        and np.array_equal(one.edges, other.edges)
    )


@given(batches)
def test_no_value_is_lost_however_far_the_range_grows(values: list[np.ndarray]) -> None:
    histogram = counted(*values)
    assert histogram.total == sum(map(len, values))
    assert histogram.zeros == sum(int((v == 0).sum()) for v in values)


@given(batches)
def test_each_bin_counts_the_values_between_its_edges(values: list[np.ndarray]) -> None:
    histogram = counted(*values)
    every = np.concatenate(values).astype(np.float64)
    expected, _ = np.histogram(every[every != 0], np.append(histogram.edges[:-1], np.inf))
    assert np.array_equal(histogram.counts, expected)
    assert every.max() < histogram.edges[-1]
    assert every.min() >= histogram.edges[0]


@given(batches, st.randoms(use_true_random=False))
def test_the_order_of_photos_makes_no_difference(values: list[np.ndarray], random) -> None:
    histogram = counted(*values)
    random.shuffle(values)
    assert same(histogram, counted(*values))


@given(batches)
def test_its_size_is_bounded(values: list[np.ndarray]) -> None:
    assert len(counted(*values).counts) <= BINS


@given(batches)
def test_at_least_half_of_the_bins_lie_between_the_extremes(values: list[np.ndarray]) -> None:
    histogram = counted(*values)
    if histogram.low < histogram.high:
        assert len(histogram.counts) >= BINS // 2


@given(batches, st.lists(st.floats(0, 1), min_size=2, max_size=8))
def test_a_larger_share_lies_below_a_larger_quantile(
    values: list[np.ndarray], shares: list[float]
) -> None:
    histogram = counted(*values)
    found = [histogram.quantile(share) for share in sorted(shares)]
    assert found == sorted(found)
    assert histogram.edges[0] <= found[0] <= found[-1] <= histogram.edges[-1]


def test_quantiles_are_those_of_the_values_to_within_a_bin() -> None:
    random = np.random.default_rng(0)
    values = np.maximum(random.normal(1, 2, 200_000), 0).astype(np.float32)
    histogram = counted(values[:500], values[500:])
    width = histogram.edges[1] - histogram.edges[0]
    for share in (0.01, 0.25, 0.4, 0.5, 0.9, 0.999):
        assert histogram.quantile(share) == pytest.approx(np.quantile(values, share), abs=width)


@pytest.mark.parametrize("value", [1e-45, -1e-45, 3e38, -3e38, 1.0])
def test_one_value_of_any_size_is_counted(value: float) -> None:
    histogram = counted(np.full(5, value, np.float32))
    assert histogram.counts.sum() == 5
    assert histogram.quantile(0.5) == pytest.approx(value, rel=1e-3)


def test_zeros_alone_take_no_bin() -> None:
    histogram = counted(np.zeros(7, np.float32))
    assert (histogram.total, histogram.counts.sum()) == (7, 0)
    assert histogram.quantile(0.3) == 0.0
