"""What is kept of a network's activations, and at what cost in memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.core.errors import InputError
from edgecnn.quantize.observe import SAMPLED, Observer, sample, settling_warning
from edgecnn.quantize.ranges import METHODS, Method


def photo(seed: int, shape: tuple[int, ...] = (1, 12, 12, 8)) -> dict[str, np.ndarray]:
    values = np.random.default_rng(seed).normal(0, 1 + seed % 3, shape).astype(np.float32)
    return {"conv": values, "relu": np.maximum(values, 0)}


def observed(photos: int, method: Method = "minmax") -> Observer:
    observer = Observer(method)
    for seed in range(photos):
        observer.add(photo(seed))
    return observer


def test_extremes_and_mean_are_those_of_all_photos() -> None:
    conv = observed(20).tensors["conv"]
    every = np.stack([photo(seed)["conv"] for seed in range(20)])
    assert (conv.low, conv.high, conv.photos) == (every.min(), every.max(), 20)
    assert conv.mean == pytest.approx(every.mean(axis=0), abs=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_the_observers_method_is_the_ranges_own(method: Method) -> None:
    conv = observed(4, method).tensors["conv"]
    assert conv.range() == conv.range(method)
    assert conv.range("minmax") == (conv.low, conv.high)


@pytest.mark.parametrize("method", METHODS)
def test_a_histogram_is_kept_where_the_method_needs_it_alone(method: Method) -> None:
    kept = observed(2, method).tensors["conv"].spread.histogram is not None
    assert kept == (method in {"percentile", "mse", "kl"})


@pytest.mark.parametrize("method", METHODS)
def test_memory_does_not_grow_with_the_photos(method: Method) -> None:
    observer = observed(64, method)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for seed in range(64, 400):
            observer.add(photo(seed % 64))
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    # The earlier spreads are replaced by new ones of the same size, at most five a tensor.
    assert grown < 2 * 6 * 40_000


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_no_number_is_refused_by_the_tensors_name(
    method: Method, bad: float
) -> None:
    values = photo(0)
    values["relu"][0, 3, 3, 3] = bad
    with pytest.raises(InputError, match="not a number in the network's tensor relu"):
        Observer(method).add(values)


@pytest.mark.parametrize("method", METHODS)
def test_ranges_settle_as_like_photos_come(method: Method) -> None:
    assert observed(1, method).tensors["conv"].change() == 1
    assert observed(100, method).tensors["conv"].change() < 0.1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("count", [2, 3, 7, 50, 101])
def test_a_second_half_unlike_the_first_has_not_settled(method: Method, count: int) -> None:
    observer = Observer(method)
    for index in range(count):
        wide = 4 if 2 * index >= count else 1
        observer.add({"x": wide * photo(index)["relu"]})
    assert observer.tensors["x"].change() > 0.25


def drifting(unsettled: int, tensors: int = 20, photos: int = 40) -> Observer:
    """The first tensors double in the second half of the photos."""
    observer = Observer()
    for index in range(photos):
        values = np.linspace(-1, 1, 8, dtype=np.float32)
        wide = 2 if 2 * index >= photos else 1
        observer.add({f"t{i}": values * (wide if i < unsettled else 1) for i in range(tensors)})
    return observer


def test_many_tensors_that_still_change_are_told_of() -> None:
    assert settling_warning(drifting(2).tensors) is None
    assert settling_warning(drifting(3).tensors) == (
        "ranges have not settled: those of 3 of 20 tensors changed by more than a tenth "
        "after the first half of 40 photos; take more"
    )
    assert settling_warning(drifting(0, photos=1).tensors) == (
        "ranges from a single photo: take 100 or more"
    )


def test_always_zero_is_settled() -> None:
    observer = Observer()
    for _ in range(4):
        observer.add({"dead": np.zeros((1, 4, 4, 2), np.float32)})
    assert observer.tensors["dead"].change() == 0


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 200), st.integers(1, 20))
def test_a_sample_is_bounded_and_takes_no_value_twice(
    rows: int, columns: int, channels: int, runs: int
) -> None:
    places = np.arange(rows * columns * channels, dtype=np.float32)
    chosen = sample(places.reshape(1, rows, columns, channels), most=16 * runs)
    assert 0 < len(chosen) <= 16 * runs
    assert len(set(chosen)) == len(chosen)


@pytest.mark.parametrize(
    "shape",
    [(112, 112, 96), (56, 56, 144), (48, 48, 33), (28, 28, 192), (14, 14, 576), (7, 7, 1280)],
)
def test_a_sample_meets_all_channels_alike(shape: tuple[int, int, int]) -> None:
    places = np.arange(np.prod(shape)).reshape(1, *shape)
    met = np.bincount(sample(places) % shape[2], minlength=shape[2])
    assert met.max() <= 2 * met.min()


def test_a_small_tensor_is_taken_whole_and_a_large_one_in_part() -> None:
    assert len(sample(np.zeros((1, 7, 7, 160), np.float32))) == 7 * 7 * 160
    large = sample(np.zeros((1, 112, 112, 96), np.float32))
    assert 0.9 * SAMPLED < len(large) <= SAMPLED


def test_photos_beyond_the_first_256_are_looked_at_less_closely_and_still_widen_a_range() -> None:
    observer = Observer("mse")
    for index in range(300):
        observer.add({"x": np.full((1, 64, 64, 8), 1 + (index >= 280), np.float32)})
    seen = observer.tensors["x"]
    assert seen.photos == 300
    assert seen.high == 2
    assert seen.range("minmax") == (0, 2)
    np.testing.assert_allclose(seen.mean, 1)
