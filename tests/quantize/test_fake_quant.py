"""Numbers on a grid forward, straight through backward."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.quantize.grid import activation_grid

pytest.importorskip("tensorflow")

import tensorflow as tf

from edgecnn.quantize.fake_quant import on_grid, on_weight_grid, straight_round

pytestmark = pytest.mark.tensorflow

ranges = st.tuples(st.floats(-200, 0), st.floats(0.01, 200))
places = st.lists(st.floats(-1.5, 1.5), min_size=1, max_size=20)


@given(ranges, places)
def test_activations_land_where_the_grid_rounds_them(ends, shares):
    grid = activation_grid(*ends)
    values = np.asarray(shares, np.float32) * np.float32(max(-ends[0], ends[1]))
    found = on_grid(tf.constant(values), tf.constant(grid.scale), grid.zero_point).numpy()
    exact = values.astype(np.float64) / grid.scale
    integers = np.rint(exact).clip(-128 - grid.zero_point, 127 - grid.zero_point)
    tie = np.abs(np.abs(exact - np.trunc(exact)) - 0.5) < 1e-3  # kernels differ there, too
    np.testing.assert_allclose((found / grid.scale)[~tie], integers[~tie], atol=1e-3)


@given(ranges)
def test_zero_stays_exactly_zero(ends):
    grid = activation_grid(*ends)
    assert on_grid(tf.zeros(1), tf.constant(grid.scale), grid.zero_point).numpy()[0] == 0.0


def gradients(values, scale, zero_point):
    x, s = tf.constant(values, tf.float32), tf.constant(scale)
    with tf.GradientTape() as tape:
        tape.watch((x, s))
        y = tf.reduce_sum(on_grid(x, s, zero_point))
    return (gradient.numpy() for gradient in tape.gradient(y, (x, s)))


def test_a_gradient_passes_within_the_range_and_stops_outside():
    found, _ = gradients([-9.0, -1.1, 0.0, 2.3, 9.9], 0.05, -60)
    np.testing.assert_array_equal(found, [0, 1, 1, 1, 0])


def test_a_scale_learns_from_clipping_and_from_rounding():
    # Esser et al. 2020, equation 3: round(v) - v within, the clipped integer outside.
    for value, expected in ((1.3, -0.3), (1.6, 0.4), (300.0, 127.0), (-300.0, -128.0)):
        _, found = gradients([value * 0.5], 0.5, 0)
        assert found == pytest.approx(expected, abs=1e-3)


def test_weights_keep_their_gradient_and_their_range():
    steps = tf.Variable([[-126.8, 0.4], [3.5001, 130.0]])
    with tf.GradientTape() as tape:
        y = on_weight_grid(steps, np.float32([0.5, 2.0]))
    np.testing.assert_allclose(y.numpy(), [[-63.5, 0.0], [2.0, 254.0]])
    np.testing.assert_allclose(tape.gradient(y, steps).numpy(), [[0.5, 2.0], [0.5, 0.0]])


@given(places)
def test_rounding_is_straight_through(values):
    x = tf.constant(values, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = straight_round(x)
    np.testing.assert_array_equal(y.numpy(), np.rint(x.numpy()))
    np.testing.assert_array_equal(tape.gradient(y, x).numpy(), np.ones(len(values)))
