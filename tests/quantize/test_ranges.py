"""Which range a tensor's integers stand for, by each method."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from edgecnn.quantize.grid import activation_grid
from edgecnn.quantize.histogram import Histogram
from edgecnn.quantize.ranges import (
    COUNTING,
    METHODS,
    Method,
    Spread,
    divergence,
    percentile_range,
    squared_error,
)

values_of_photos = st.lists(
    npst.arrays(np.float32, st.integers(1, 60), elements=st.floats(-1000, 1000, width=32)),
    min_size=1,
    max_size=5,
)


def spread(*photos: np.ndarray) -> Spread:
    found = Spread(histogram=Histogram())
    for photo in photos:
        found.add(photo)
    return found


def heavy_tailed() -> np.ndarray:
    """A million values near zero, and two far away."""
    values = np.random.default_rng(0).normal(0, 1, 1_000_000).astype(np.float32)
    values[[10, 20]] = -20, 20
    return values


@pytest.mark.parametrize("method", METHODS)
@given(values_of_photos)
def test_a_range_includes_zero_and_lies_within_the_extremes(
    method: Method, photos: list[np.ndarray]
) -> None:
    found = spread(*photos)
    low, high = found.range(method)
    assert min(found.low, 0) <= low <= 0 <= high <= max(found.high, 0)


@pytest.mark.parametrize("method", METHODS)
@given(values_of_photos)
def test_values_of_one_sign_keep_a_range_of_one_side(
    method: Method, photos: list[np.ndarray]
) -> None:
    assert spread(*(np.maximum(p, 0) for p in photos)).range(method)[0] == 0
    assert spread(*(np.minimum(p, 0) for p in photos)).range(method)[1] == 0


@pytest.mark.parametrize("method", METHODS)
@given(values_of_photos, st.randoms(use_true_random=False))
def test_the_order_of_photos_makes_no_difference(
    method: Method, photos: list[np.ndarray], random
) -> None:
    before = spread(*photos).range(method)
    random.shuffle(photos)
    assert spread(*photos).range(method) == pytest.approx(before, rel=1e-9, abs=1e-12)


@given(values_of_photos)
def test_min_max_is_the_extremes(photos: list[np.ndarray]) -> None:
    every = np.concatenate(photos)
    assert spread(*photos).range("minmax") == (min(every.min(), 0), max(every.max(), 0))


def test_the_average_is_the_mean_photos_extremes() -> None:
    photos = [np.array([-1, 4], np.float32), np.array([-3, 8], np.float32)]
    assert spread(*photos).range("average") == (-2, 6)


@given(values_of_photos)
def test_the_least_squared_error_is_never_above_that_of_the_extremes(
    photos: list[np.ndarray],
) -> None:
    found = spread(*photos)
    histogram = found.histogram
    assert histogram is not None
    best, widest = (activation_grid(*found.range(m)) for m in ("mse", "minmax"))
    assert squared_error(histogram, best) <= squared_error(histogram, widest)


@given(values_of_photos)
def test_the_least_divergence_is_never_above_that_of_the_extremes(
    photos: list[np.ndarray],
) -> None:
    found = spread(*photos)
    histogram = found.histogram
    assert histogram is not None
    best, widest = (activation_grid(*found.range(m)) for m in ("kl", "minmax"))
    assert divergence(histogram, best) <= divergence(histogram, widest)


@given(values_of_photos, st.floats(0.5, 1), st.floats(0.5, 1))
def test_a_range_that_keeps_more_is_no_narrower(
    photos: list[np.ndarray], one: float, other: float
) -> None:
    found = spread(*photos)
    low, high = min(found.low, 0.0), max(found.high, 0.0)
    assert found.histogram is not None
    less, more = (
        percentile_range(found.histogram, low, high, kept) for kept in sorted((one, other))
    )
    assert more[0] <= less[0]
    assert less[1] <= more[1]


@pytest.mark.parametrize("method", sorted(COUNTING))
def test_a_few_values_far_away_are_clipped(method: Method) -> None:
    values = heavy_tailed()
    low, high = spread(values).range(method)
    assert -10 < low < 0 < high < 10
    assert np.mean((values < low) | (values > high)) < 0.01


def test_the_least_squared_error_of_the_histogram_is_that_of_the_values() -> None:
    values = heavy_tailed()
    found = spread(values)
    assert found.histogram is not None
    low, high = found.range("mse")
    errors = []
    for scale in (0.8, 1.0, 1.25):
        grid = activation_grid(low * scale, high * scale)
        integers = np.clip(np.rint(values / grid.scale) + grid.zero_point, -128, 127)
        error = np.square((integers - grid.zero_point) * grid.scale - values).mean()
        assert squared_error(found.histogram, grid) == pytest.approx(error, rel=0.05)
        errors.append(error)
    assert errors[1] == min(errors)


@pytest.mark.parametrize("method", sorted(COUNTING))
def test_evenly_spread_values_keep_nearly_their_whole_range(method: Method) -> None:
    values = np.random.default_rng(1).uniform(-3, 5, 100_000).astype(np.float32)
    assert spread(values).range(method) == pytest.approx((-3, 5), abs=0.35)


@pytest.mark.parametrize("method", METHODS)
def test_a_tensor_that_is_always_zero_has_an_empty_range(method: Method) -> None:
    assert spread(np.zeros(9, np.float32)).range(method) == (0, 0)


@pytest.mark.parametrize("method", sorted(COUNTING))
def test_a_method_that_needs_a_histogram_says_so(method: Method) -> None:
    found = Spread()
    found.add(np.asarray([0.0, 1.0]))
    with pytest.raises(ValueError, match="need a histogram"):
        found.range(method)
