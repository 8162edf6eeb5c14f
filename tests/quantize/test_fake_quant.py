"""Integers forward, straight through backward."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("tensorflow")

import tensorflow as tf

from edgecnn.quantize.fake_quant import round_weights, round_within, straight_round

pytestmark = pytest.mark.tensorflow

places = st.lists(st.floats(-400, 400, width=32), min_size=1, max_size=20)
bounds = st.tuples(st.integers(-255, 0), st.integers(1, 255))


def bounded(values, low, high):
    x = tf.constant(values, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = round_within(x, tf.constant(float(low)), tf.constant(float(high)))
    return y.numpy(), tape.gradient(y, x).numpy()


@given(places, bounds)
def test_numbers_become_the_nearest_integers_within_bounds(values, ends):
    found, _ = bounded(values, *ends)
    np.testing.assert_array_equal(found, np.rint(np.float32(values)).clip(*ends))


@given(bounds)
def test_zero_stays_exactly_zero(ends):
    assert bounded([0.0], *ends)[0][0] == 0.0


@given(places, bounds)
def test_a_gradient_passes_within_the_bounds_and_stops_outside(values, ends):
    _, found = bounded(values, *ends)
    low, high = ends
    for value, gradient in zip(values, found, strict=True):
        if low + 1 <= value <= high - 1:
            assert gradient == 1.0
        if value < low - 1 or value > high + 1:
            assert gradient == 0.0


@pytest.mark.parametrize(
    ("value", "expected"), [(1.3, -0.3), (1.6, 0.4), (300.0, 127.0), (-300.0, -128.0)]
)
def test_a_scale_learns_from_rounding_and_from_clipping(value, expected):
    """Esser et al. 2020, equation 3: round(v) - v within, the last integer outside."""
    scale = tf.constant(0.5)
    with tf.GradientTape() as tape:
        tape.watch(scale)
        steps = round_within(value * 0.5 / scale, tf.constant(-128.0), tf.constant(127.0))
        y = steps * scale
    assert float(tape.gradient(y, scale)) == pytest.approx(expected, abs=1e-4)


def test_weights_keep_their_gradient_and_their_range():
    steps = tf.Variable([[-126.8, 0.4], [3.5001, 130.0]])
    with tf.GradientTape() as tape:
        y = round_weights(steps, 127)
    np.testing.assert_allclose(y.numpy(), [[-127.0, 0.0], [4.0, 127.0]])
    np.testing.assert_allclose(tape.gradient(y, steps).numpy(), [[1, 1], [1, 0]])


@given(places)
def test_rounding_is_straight_through(values):
    x = tf.constant(values, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = straight_round(x)
    np.testing.assert_array_equal(y.numpy(), np.rint(x.numpy()))
    np.testing.assert_array_equal(tape.gradient(y, x).numpy(), np.ones(len(values)))
