"""Rows under a layer's window: times the weights they are the layer's output."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn.quantize.patches import choose_places

pytestmark = pytest.mark.tensorflow


def layers_of(model) -> tuple:
    from edgecnn.convert import tflite
    from edgecnn.convert.frozen import freeze
    from edgecnn.quantize.tflite_graph import read
    from edgecnn.quantize.tflite_layer import Layer
    from edgecnn.quantize.tflite_operations import WEIGHTED

    content = tflite.float32(freeze(model))
    graph = read(content)
    operators = graph.subgraphs[0].operators
    return content, next(
        layer for layer in (Layer(graph, o) for o in operators) if layer.name in WEIGHTED
    )


@pytest.mark.parametrize("kernel", [1, 3, (5, 3)])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2)])
@pytest.mark.parametrize("kind", ["Conv2D", "DepthwiseConv2D"])
def test_rows_times_weights_are_the_output(kind, kernel, padding, stride, dilation) -> None:
    import keras

    from edgecnn.quantize.patches import rows_of

    keras.utils.set_random_seed(1)
    image = keras.Input((11, 14, 3))
    count = {"filters": 4} if kind == "Conv2D" else {"depth_multiplier": 2}
    layer = getattr(keras.layers, kind)(
        kernel_size=kernel, padding=padding, strides=stride, dilation_rate=dilation, **count
    )
    model = keras.Model(image, layer(image))
    _, found = layers_of(model)
    value = np.random.default_rng(0).normal(size=(1, 11, 14, 3)).astype(np.float32)
    expected = np.asarray(model(value))[0]
    rows = rows_of(found, value, np.arange(expected[..., 0].size), zero=0.0)
    if kind == "Conv2D":
        product = rows.reshape(len(rows), -1) @ found.weights.reshape(4, -1).T
    else:
        wide = np.repeat(rows, 2, axis=2)
        product = np.einsum("ptc,tc->pc", wide, found.weights.reshape(-1, 6))
    assert np.allclose(product.reshape(expected.shape), expected, atol=1e-5)


@pytest.mark.parametrize("positions", [1, 7, 100, 10_000])
def test_places_are_of_the_output_and_as_many_as_wanted(positions) -> None:
    places = choose_places(positions, photos=10, rows=200, seed=0)
    assert places.shape == (10, min(positions, 20))
    assert places.min() >= 0
    assert places.max() < positions
    assert np.array_equal(places, choose_places(positions, photos=10, rows=200, seed=0))
