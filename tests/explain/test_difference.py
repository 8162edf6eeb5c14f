"""A file beside the float network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgecnn.explain.difference import Seen, change_of_lead, compare, decibels, to_grid
from edgecnn.quantize.grid import Grid

FINITE = st.floats(-100, 100, width=32)


@pytest.mark.tensorflow
def test_a_float_network_against_itself_has_no_noise(network: Any) -> None:
    found = compare(network.float_file, network.float_file, network.inputs)
    assert found.seen
    assert all(seen.sqnr_db is None for seen in found.seen.values())
    assert (found.noise, found.flips, found.photos) == (0.0, 0, 32)


@pytest.mark.tensorflow
def test_every_tensor_of_the_plan_is_compared_and_nearer_than_a_tenth(network: Any) -> None:
    from edgecnn.quantize.tflite import quantize

    file = quantize(network.float_file, network.plan, io="int8").content
    shift = network.plan.input_shift
    found = compare(network.float_file, file, network.inputs, shift=shift)
    assert set(network.plan.layers) <= found.seen.keys()
    ratios = [found.seen[name].sqnr_db for name in network.plan.layers]
    assert all(ratio is not None and ratio > 20 for ratio in ratios)


@pytest.mark.tensorflow
def test_photos_beyond_the_detailed_ones_count_for_the_answers_alone(network: Any) -> None:
    from edgecnn.quantize.tflite import quantize

    file = quantize(network.float_file, network.plan, io="int8").content
    shift = network.plan.input_shift
    some = compare(network.float_file, file, network.inputs, shift=shift, detailed=4)
    every = compare(network.float_file, file, network.inputs, shift=shift)
    none = compare(network.float_file, file, network.inputs, shift=shift, detailed=0)
    np.testing.assert_allclose(some.changes, every.changes, atol=1e-5)
    np.testing.assert_allclose(none.changes, every.changes, atol=1e-5)
    assert (some.photos, none.seen) == (32, {})


@pytest.mark.tensorflow
def test_a_file_with_layers_in_float_has_all_its_tensors_compared(network: Any) -> None:
    from edgecnn.quantize.tflite import quantize

    names = list(network.plan.layers)
    plan = network.plan.in_float(names[2:5], why="a test")
    file = quantize(network.float_file, plan, io="int8").content
    found = compare(network.float_file, file, network.inputs, shift=plan.input_shift)
    assert set(names) <= found.seen.keys()


def test_decibels_of_a_hundredth() -> None:
    assert decibels(100.0, 1.0) == pytest.approx(20.0)
    assert decibels(100.0, 0.0) is None
    assert decibels(0.0, 1.0) is None


def test_only_what_lies_beyond_the_grid_and_on_its_end_is_cut_off() -> None:
    seen, grid = Seen(), Grid(0.1, -128)  # 0..25.5
    exact = np.asarray([0.0, 25.5, 30.0, -1.0, 26.0], np.float32)
    made = np.asarray([0.0, 25.5, 25.5, 0.0, 20.0], np.float32)
    seen.add(exact, made, grid)
    assert seen.saturated == pytest.approx(2 / 5)
    assert (seen.low, seen.high) == (-1.0, 30.0)


@given(arrays(np.float32, st.integers(2, 6), elements=FINITE))
def test_scores_that_are_all_raised_alike_change_no_lead(scores: Any) -> None:
    assert change_of_lead(scores, scores) == 0.0
    assert abs(change_of_lead(scores, scores + np.float32(3))) < 1e-4


@given(st.floats(-50, 50, width=32), st.integers(-128, 127))
def test_a_value_within_the_grid_moves_by_half_a_step_at_most(value: float, zero: int) -> None:
    grid = Grid(0.5, zero)
    (integer,) = to_grid(np.asarray([value], np.float32), grid)
    real = (int(integer) - zero) * 0.5
    if grid.low <= value <= grid.high:
        assert abs(real - value) <= 0.25 + 1e-6
    else:
        assert real in (grid.low, grid.high)


def test_a_lead_that_is_large_may_change_without_being_noise() -> None:
    from edgecnn.explain.difference import Difference

    scores = np.asarray([[0.0, 0.1], [0.2, 0.0], [9.0, 0.0], [0.0, 8.0]], np.float32)
    answers = scores.argmax(axis=1)
    changes = np.asarray([0.1, -0.1, -3.0, -2.0])
    found = Difference({}, {}, scores, answers, changes, flips=0)
    assert found.noise == pytest.approx(0.01)
    assert found.noise_of(changes[:2]) == pytest.approx(0.01)
