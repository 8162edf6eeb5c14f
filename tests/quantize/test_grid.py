from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgecnn.core.normalization import same_for_all
from edgecnn.quantize.grid import (
    activation_grid,
    input_grid,
    round_bias,
    round_weights,
    weight_scales,
)

ordinary = st.floats(-1e4, 1e4, width=32)


@given(ordinary, ordinary)
def test_zero_is_exact_on_every_activation_grid(a, b):
    grid = activation_grid(min(a, b), max(a, b))
    assert -128 <= grid.zero_point <= 127
    assert grid.scale > 0


@given(ordinary, ordinary)
def test_an_activation_grid_covers_its_range_to_half_a_step(a, b):
    low, high = min(a, b), max(a, b)
    grid = activation_grid(low, high)
    assert grid.low - grid.scale <= low
    assert high <= grid.high + grid.scale


def test_a_grid_that_starts_at_zero_clips_where_relu_does():
    grid = activation_grid(0.0, 5.2)
    assert grid.zero_point == -128
    assert grid.low == 0.0
    assert grid.high == pytest.approx(5.2, rel=1e-6)


@given(hnp.arrays(np.float32, (4, 3, 3, 2), elements=st.floats(-10, 10, width=32)))
def test_rounded_weights_are_within_half_a_step(weights):
    scales = weight_scales(weights, None, 1.0, axis=0)
    back = round_weights(weights, scales, axis=0) * scales[:, None, None, None]
    assert np.all(np.abs(back - weights) <= scales[:, None, None, None] * 0.501)


def test_each_channel_uses_its_whole_range():
    weights = np.array([[0.5, -1.0], [0.01, 0.002]])
    integers = round_weights(weights, weight_scales(weights, None, 1.0, axis=0), axis=0)
    assert np.abs(integers).max(axis=1).tolist() == [127, 127]


@pytest.mark.parametrize("size", [0.0, 1e-12, 1e-30])
def test_the_bias_of_a_dead_filter_survives(size):
    weights, bias = np.full((2, 9), 0.3), np.array([0.7, 2.5])
    weights[1] = size
    scales = weight_scales(weights, bias, 0.02, axis=0)
    back = round_bias(bias, 0.02, scales) * (0.02 * scales.astype(np.float64))
    np.testing.assert_allclose(back, bias, rtol=1e-3)


def test_the_input_grid_is_exact_where_the_zero_pixel_is_whole():
    grid, shift = input_grid(same_for_all(1 / 128, -127 / 128))
    assert (grid.scale, grid.unsigned_zero_point, shift) == (1 / 128, 127, 0.0)


def test_the_input_grid_is_half_a_step_off_where_the_zero_pixel_is_not_whole():
    grid, shift = input_grid(same_for_all(1 / 127.5, -1.0))
    pixels = np.arange(256)
    real = grid.scale * (pixels - grid.unsigned_zero_point)
    np.testing.assert_allclose(real - shift, pixels / 127.5 - 1, atol=1e-12)
    assert shift == pytest.approx(0.5 / 127.5)
