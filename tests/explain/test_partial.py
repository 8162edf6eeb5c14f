"""A float file some of whose operations behave as integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow


def run(partial: Any, photos: Any, place: int) -> np.ndarray:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=partial.content)
    interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    found = []
    for photo in photos:
        interpreter.set_tensor(entry["index"], photo)
        interpreter.invoke()
        found.append(interpreter.get_tensor(place).reshape(-1))
    return np.stack(found)


def scores(file: bytes, network: Any) -> np.ndarray:
    from edgecnn.explain.difference import compare

    return compare(network.float_file, file, network.inputs).scores


def test_nothing_quantized_is_the_float_file(network: Any) -> None:
    from edgecnn.explain.partial import partly_quantized

    made = partly_quantized(network.float_file, network.plan, weights={}, on_grid=[])
    found = run(made, network.photos, made.scores)
    np.testing.assert_array_equal(found, scores(network.float_file, network))


def test_all_results_on_their_grids_take_the_values_of_the_grid(network: Any) -> None:
    from edgecnn.explain.partial import partly_quantized

    plan = network.plan
    made = partly_quantized(network.float_file, plan, weights={}, on_grid=plan.layers)
    grid = list(plan.tensors.values())[-1].grid
    values = run(made, network.photos, made.output) / grid.scale
    np.testing.assert_allclose(values, np.rint(values), atol=1e-3)


def test_the_float_copy_reads_what_the_quantized_operation_reads(network: Any) -> None:
    from edgecnn.explain.partial import partly_quantized

    for name in network.plan.layers:
        made = partly_quantized(
            network.float_file, network.plan, weights={}, on_grid=[name], beside=name
        )
        exact, rounded = (run(made, network.photos[:4], place) for place in made.pair)
        step = network.plan.tensors[name].grid.scale
        within = (exact > network.plan.tensors[name].low) & (
            exact < network.plan.tensors[name].high
        )
        assert np.abs(exact - rounded)[within].max() <= step * 0.51


def test_new_weights_change_that_layer_alone(network: Any) -> None:
    from edgecnn.explain.graph import Graph
    from edgecnn.explain.partial import Weights, partly_quantized

    name = next(iter(network.plan.layers))
    layer = Graph(network.float_file).layer(name)
    assert layer is not None
    zero = Weights(np.zeros_like(layer.weights), layer.bias)
    made = partly_quantized(
        network.float_file, network.plan, weights={name: zero}, on_grid=[], beside=name
    )
    exact, changed = (run(made, network.photos[:2], place) for place in made.pair)
    assert np.ptp(changed.reshape(2, -1, len(layer.bias)), axis=1).max() == 0
    assert np.ptp(exact) > 0


def test_joined_tensors_get_the_error_of_the_grid_that_they_move_to(pictures: Any) -> None:
    import keras
    from keras import layers

    from edgecnn.explain.graph import Graph
    from edgecnn.explain.layers import Photos, measure
    from edgecnn.export.writers import Writers
    from tests.explain.conftest import NORMALIZATION

    keras.utils.set_random_seed(2)
    image = keras.Input((32, 32, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="normalize")(image)
    x = layers.Conv2D(8, 3, 2, activation="relu6", name="stem")(x)
    # Read twice, so that it keeps its own grid beside the joined one.
    wide = layers.Conv2D(8, 1, name="wide", kernel_initializer="he_normal")(x) * 5.0
    x = layers.Concatenate(name="joined")([x, wide]) + layers.Concatenate(name="other")([wide, x])
    x = layers.Dense(4, name="logits")(layers.GlobalAveragePooling2D()(x))
    writers = Writers(
        keras.Model(image, x), NORMALIZATION, lambda: (picture[None] for picture in pictures[:16])
    )
    graph = Graph(writers.float_tflite)
    noisy = {graph.kind(n) for n in graph.operators if graph.makes_noise(n, writers.plan)}
    assert "CONCATENATION" in noisy
    found = measure(writers.float_tflite, writers.plan, Photos(writers.inputs))
    joined = [layer for layer in found.layers if layer.operation == "CONCATENATION"]
    assert all(layer.sqnr_alone_db is not None for layer in joined)
