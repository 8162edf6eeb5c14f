"""Integers that make up for their own errors."""

from __future__ import annotations

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.quantize.rounding import damped, round_dense, round_depthwise

SEEDS = st.integers(0, 2**32 - 1)


def layer(seed: int, outputs: int, inputs: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, scales and the covariance of inputs that depend on each other."""
    random = np.random.default_rng(seed)
    weights = random.normal(size=(outputs, inputs))
    rows = random.normal(size=(64, inputs)) @ random.normal(size=(inputs, inputs))
    return weights, np.abs(weights).max(axis=1) / 127, np.cov(rows.T).reshape(inputs, inputs)


def error(weights: np.ndarray, integers: np.ndarray, scales: np.ndarray, cov: np.ndarray) -> float:
    difference = integers * scales[:, None] - weights
    return float(np.einsum("od,de,oe->", difference, cov, difference))


@given(SEEDS, st.integers(1, 6), st.integers(1, 40))
def test_compensated_integers_are_never_worse_than_the_nearest(seed, outputs, inputs) -> None:
    weights, scales, covariance = layer(seed, outputs, inputs)
    covariance = damped(covariance)
    nearest = np.rint(weights / scales[:, None]).clip(-127, 127)
    found = round_dense(weights, scales, covariance)
    # The function damps once more: compare under what it minimizes.
    assert error(weights, found, scales, damped(covariance)) <= error(
        weights, nearest, scales, damped(covariance)
    ) * (1 + 1e-9)


@given(SEEDS, st.integers(1, 12), st.sampled_from([9, 25]))
def test_a_depthwise_channel_is_never_worse_than_the_nearest(seed, channels, taps) -> None:
    random = np.random.default_rng(seed)
    weights = random.normal(size=(channels, taps))
    scales = np.abs(weights).max(axis=1) / 127
    rows = random.normal(size=(channels, 50, taps)).cumsum(axis=2)
    covariances = rows.transpose(0, 2, 1) @ rows / 50
    nearest = np.rint(weights / scales[:, None])
    found = round_depthwise(weights, scales, covariances)
    for channel in range(channels):
        one, cov = slice(channel, channel + 1), damped(covariances)[channel]
        assert error(weights[one], found[one], scales[one], cov) <= error(
            weights[one], nearest[one], scales[one], cov
        ) * (1 + 1e-9)


def test_on_correlated_inputs_the_error_falls_to_a_fraction() -> None:
    weights, scales, covariance = layer(0, 16, 128)
    nearest = np.rint(weights / scales[:, None])
    found = round_dense(weights, scales, covariance)
    assert error(weights, found, scales, covariance) < 0.3 * error(
        weights, nearest, scales, covariance
    )


@given(arrays.arrays(np.float64, (3, 5), elements=st.floats(-10, 10)))
def test_independent_inputs_leave_nothing_to_make_up_for(weights) -> None:
    scales = np.maximum(np.abs(weights).max(axis=1), 1e-3) / 127
    found = round_dense(weights, scales, np.eye(5))
    assert np.array_equal(found, np.rint(weights / scales[:, None]))


@pytest.mark.parametrize("round_it", [round_dense, round_depthwise])
def test_dead_inputs_do_no_harm(round_it) -> None:
    weights = np.full((4, 9), 0.5)
    covariance = np.zeros((4, 9, 9) if round_it is round_depthwise else (9, 9))
    found = round_it(weights, np.full(4, 0.5 / 127), covariance)
    assert np.array_equal(found, np.full((4, 9), 127))


def test_one_scale_may_hold_for_all_outputs() -> None:
    weights, scales, covariance = layer(3, 8, 16)
    common = scales.max(keepdims=True)
    found = round_dense(weights, common, covariance)
    assert found.shape == weights.shape
    assert np.abs(found * common - weights).max() < 5 * common


@given(SEEDS, st.integers(1, 6), st.integers(2, 40))
def test_a_pruned_weight_stays_zero(seed, outputs, inputs) -> None:
    weights, scales, covariance = layer(seed, outputs, inputs)
    gone = np.random.default_rng(seed).random(weights.shape) < 0.7
    weights = np.where(gone, 0.0, weights)
    dense = round_dense(weights, scales, covariance)
    alone = round_depthwise(
        weights, scales, np.broadcast_to(covariance, (outputs, *covariance.shape))
    )
    assert not dense[gone].any()
    assert not alone[gone].any()
