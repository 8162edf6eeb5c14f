"""Which layers make the noise: the ones that were spoilt on purpose."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from tests.explain.conftest import coarser

pytestmark = pytest.mark.tensorflow


def measured(network: Any, plan: Any, **options: Any) -> Any:
    from edgecnn.explain.layers import Photos, measure

    return measure(network.float_file, plan, Photos(network.inputs, about="blobs"), **options)


def noisy(network: Any) -> list[str]:
    from edgecnn.explain.graph import Graph

    graph = Graph(network.float_file)
    return [name for name in network.plan.layers if graph.makes_noise(name, network.plan)]


@pytest.fixture(scope="module")
def noise(network: Any) -> Any:
    return measured(network, network.plan, file="net-int8.tflite")


@pytest.mark.parametrize("place", [0, 2, 4, -3])
def test_a_layer_whose_grid_is_coarser_on_purpose_is_the_one_named(
    network: Any, place: int
) -> None:
    name = noisy(network)[place]
    found = measured(network, coarser(network.plan, name, 24.0))
    label = next(layer.label for layer in found.layers if layer.name == name)
    assert found.loudest[0] == label
    assert found.shares[label] > 0.5


def test_weights_that_lost_their_digits_make_their_layer_the_loudest(network: Any) -> None:
    name = next(n for n, layer in network.plan.layers.items() if layer.operation == "CONV_2D")
    layer = network.plan.layers[name]
    blunt = dataclasses.replace(layer.rounded, weights=layer.rounded.weights // 32 * 32)
    layers = {**network.plan.layers, name: dataclasses.replace(layer, rounded=blunt)}
    found = measured(network, dataclasses.replace(network.plan, layers=layers))
    label = next(row.label for row in found.layers if row.name == name)
    assert found.loudest == (label,)


def test_noises_of_single_layers_add_up_to_that_of_the_file(noise: Any) -> None:
    total = sum(layer.noise for layer in noise.layers)
    assert 0.3 < noise.noise / total < 3.0
    assert sum(noise.shares.values()) == pytest.approx(1.0)


def test_errors_grow_on_the_way_through_the_file_and_not_alone(noise: Any) -> None:
    rows = [row for row in noise.layers if row.sqnr_alone_db is not None]
    assert len(rows) > 5
    assert np.mean([row.sqnr_db < row.sqnr_alone_db + 1 for row in rows]) > 0.7


def test_what_only_moves_values_makes_no_noise(noise: Any) -> None:
    moving = [row for row in noise.layers if row.operation in {"MAX_POOL_2D", "RESHAPE", "PAD"}]
    assert moving
    assert all((row.noise, row.flips, row.sqnr_alone_db) == (0.0, 0, None) for row in moving)


def test_a_grid_that_is_too_small_shows_as_cut_off_values(network: Any) -> None:
    name = noisy(network)[0]
    found = measured(network, coarser(network.plan, name, 0.25))
    row = next(row for row in found.layers if row.name == name)
    assert row.saturated > 0.01
    assert row.seen_high > row.high


def test_the_facts_of_each_layer_are_there(network: Any, noise: Any) -> None:
    assert (noise.file, noise.data, noise.n, noise.n_alone) == ("net-int8.tflite", "blobs", 32, 32)
    assert noise.macs > 0
    assert {row.name for row in noise.layers} == set(network.plan.layers)
    assert all(row.seen_low <= row.seen_high for row in noise.layers)
    spreads = [row.weight_spread for row in noise.layers if row.macs]
    assert all(spread is not None and spread >= 1 for spread in spreads)
    assert noise.relief is None


def test_with_the_noisy_layer_in_float_the_noise_is_gone(network: Any) -> None:
    name = noisy(network)[4]
    spoilt = coarser(network.plan, name, 40.0)
    asked = []

    def replan(names: Any) -> Any:
        asked.append(list(names))
        return network.plan.in_float(names, why="noisy")

    found = measured(network, spoilt, replan=replan)
    assert asked == [[name]]
    assert found.relief.layers == found.loudest
    assert found.relief.noise < 0.5 * found.noise
    assert found.relief.flips <= found.flips


def test_a_plan_in_float_has_no_noise(network: Any) -> None:
    plan = dataclasses.replace(network.plan, input_shift=0.0)
    found = measured(network, plan.in_float(plan.layers, why="a test"), replan=pytest.fail)
    assert found.loudest == ()
    assert sum(found.shares.values()) == 0


def test_the_same_photos_give_the_same_figures(network: Any, noise: Any) -> None:
    assert measured(network, network.plan, file="net-int8.tflite") == noise
