from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from edgecnn import zoo
from edgecnn.convert.fold import fold_batch_norm
from edgecnn.zoo.padding import repadded

pytestmark = pytest.mark.tensorflow


def network(*stack: keras.Layer) -> keras.Model:
    image = keras.Input((6, 6, 1))
    x = image
    for layer in stack:
        x = layer(x)
    return keras.Model(image, x, name="net")


def ones(size: int = 6) -> np.ndarray:
    return np.ones((1, size, size, 1), np.float32)


def answer(model: keras.Model, pixels: np.ndarray) -> np.ndarray:
    return np.asarray(model(pixels, training=False))[0, ..., 0]


@pytest.mark.parametrize("padding", ["symmetric", "caffe"])
def test_strided_convolution_sees_as_much_margin_on_either_side(padding) -> None:
    same = network(
        layers.Conv2D(
            1, 3, 2, padding="same", use_bias=False, kernel_initializer="ones", name="a_conv"
        )
    )
    copy = repadded(same, padding)
    np.testing.assert_array_equal(answer(same, ones())[0], [9, 9, 6])
    np.testing.assert_array_equal(answer(copy, ones())[0], [4, 6, 6])
    assert [layer.name for layer in copy.layers][1:] == ["a_pad", "a_conv"]
    assert copy.name == "net"


def test_depthwise_convolution_is_treated_alike() -> None:
    same = network(layers.DepthwiseConv2D(5, 2, padding="same", depthwise_initializer="ones"))
    np.testing.assert_array_equal(answer(repadded(same, "symmetric"), ones())[0], [9, 15, 12])


def test_layers_whose_padding_is_the_same_either_way_stay() -> None:
    same = network(
        layers.Conv2D(1, 3, padding="same"),
        layers.Conv2D(1, 1, 2, padding="same"),
        layers.Conv2D(1, 3, 2, padding="valid"),
    )
    assert len(repadded(same, "symmetric").layers) == len(same.layers)


@pytest.mark.parametrize("before", [[], [layers.ReLU()]])
def test_pooling_takes_the_largest_of_what_is_there(before) -> None:
    pixels = np.arange(36, dtype=np.float32).reshape(1, 6, 6, 1) - (0 if before else 100)
    copy = repadded(network(*before, layers.MaxPooling2D(3, 2, padding="same")), "symmetric")
    expected = pixels[0, [1, 3, 5]][:, [1, 3, 5], 0]
    np.testing.assert_array_equal(answer(copy, pixels), expected)


def test_caffe_pools_over_the_far_edge() -> None:
    pixels = np.arange(36, dtype=np.float32).reshape(1, 6, 6, 1)
    same = network(layers.ReLU(), layers.MaxPooling2D(3, 2, padding="same"))
    np.testing.assert_array_equal(answer(repadded(same, "caffe"), pixels), answer(same, pixels))


def test_symmetric_network_is_cut_and_folded_like_any_other() -> None:
    body = zoo.build("mobilenet_v2", shape=(32, 32, 3), alpha=0.35, padding="symmetric")
    plain = zoo.build("mobilenet_v2", shape=(32, 32, 3), alpha=0.35)
    assert zoo.cut_points(body) == zoo.cut_points(plain)
    lower, upper = zoo.split(body, zoo.cut_points(body)[5])
    pixels = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3)).astype(np.float32)
    expected = np.asarray(body(pixels, training=False))
    np.testing.assert_allclose(upper(lower(pixels)), expected, atol=1e-5)
    np.testing.assert_allclose(fold_batch_norm(body)(pixels), expected, atol=1e-5)
