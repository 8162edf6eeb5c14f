"""Which channels may be scaled: whatever the network, scaling them leaves its answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("tensorflow")

import keras
from keras import layers

from edgecnn.quantize.channels import scalable_channels
from edgecnn.quantize.equalize import rescaled

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

Tensor = Any


def residual(x: Tensor) -> Tensor:
    y = layers.Conv2D(12, 1, activation="relu")(x)
    y = layers.DepthwiseConv2D(3, padding="same", activation="relu")(y)
    return layers.Add()([x, layers.Conv2D(8, 1)(y)])


def residual_with_six(x: Tensor) -> Tensor:
    y = layers.ReLU(6)(layers.Conv2D(12, 1)(x))
    y = layers.DepthwiseConv2D(3, padding="same", activation="relu6")(y)
    return layers.Add()([layers.Conv2D(8, 1)(y), x])


def gated(x: Tensor) -> Tensor:
    x = layers.Conv2D(8, 1, activation="relu")(x)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Conv2D(8, 1, activation="sigmoid")(layers.Conv2D(4, 1, activation="relu")(gate))
    return layers.Conv2D(8, 1)(layers.Multiply()([x, gate]))


def many_depthwise(x: Tensor) -> Tensor:
    x = layers.LeakyReLU(0.1)(layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(x))
    return layers.Conv2D(8, 1, groups=2)(layers.Conv2D(8, 3, padding="same", use_bias=False)(x))


def separable(x: Tensor) -> Tensor:
    return layers.SeparableConv2D(8, 3, padding="same", depth_multiplier=3, activation="relu")(x)


def joined(x: Tensor) -> Tensor:
    y = layers.MaxPooling2D(3, 1, padding="same")(layers.Conv2D(4, 1)(x))
    return layers.Conv2D(8, 1)(layers.Concatenate()([layers.ReLU()(x), y]))


def twice(x: Tensor) -> Tensor:
    shared = layers.Conv2D(8, 3, padding="same", activation="relu")
    return shared(shared(x))


def swished(x: Tensor) -> Tensor:
    return layers.Conv2D(8, 1)(layers.Activation("swish")(layers.PReLU()(layers.Conv2D(8, 1)(x))))


def normed(x: Tensor) -> Tensor:
    return layers.Maximum()([layers.BatchNormalization()(layers.ReLU()(x)), layers.Conv2D(8, 1)(x)])


def padded(x: Tensor) -> Tensor:
    x = layers.Cropping2D(1)(layers.ZeroPadding2D(2)(layers.Dropout(0.5)(x)))
    return layers.AveragePooling2D(3, 1)(x)


BLOCKS = (
    residual, residual_with_six, gated, many_depthwise, separable, joined, twice, swished, normed,
    padded,
)  # fmt: skip


def flattened(x: Tensor) -> Tensor:
    return layers.Dense(6, activation="relu")(layers.Flatten()(x))


def pooled(x: Tensor) -> Tensor:
    return layers.Dense(6)(layers.GlobalMaxPooling2D()(x))


def network(blocks: list[Any], end: Any, seed: int = 0) -> keras.Model:
    """Blocks one after another, all weights and biases random."""
    image = keras.Input((9, 9, 3), name="image")
    x = layers.Conv2D(8, 3, 2, padding="same")(image)
    for block in blocks:
        x = block(x)
    model = keras.Model(image, layers.Softmax()(layers.Dense(4)(end(x))))
    random = np.random.default_rng(seed)
    for layer in model.layers:
        drawn = [random.normal(0, 0.3, weights.shape) for weights in layer.get_weights()]
        if isinstance(layer, layers.BatchNormalization):
            drawn = [np.abs(weights) + 0.5 for weights in drawn]
        layer.set_weights(drawn)
    return model


def photos(count: int = 4) -> Any:
    return np.random.default_rng(1).normal(0, 1, (count, 9, 9, 3)).astype(np.float32)


def logits_of(model: keras.Model) -> keras.Model:
    """Without the softmax, which hides differences."""
    return keras.Model(model.input, model.layers[-1].input)


@settings(max_examples=15)
@given(
    blocks=st.lists(st.sampled_from(BLOCKS), min_size=1, max_size=4),
    end=st.sampled_from((flattened, pooled)),
    seed=st.integers(0, 100),
)
def test_any_factors_on_the_groups_leave_the_answers(blocks: Any, end: Any, seed: int) -> None:
    model = network(blocks, end, seed)
    channels = scalable_channels(model)
    random = np.random.default_rng(seed)
    limit = np.log(64)
    factors = {g: np.exp(random.uniform(-limit, limit, n)) for g, n in channels.exact.items()}
    other = rescaled(model, channels, factors)
    expected, found = (np.asarray(logits_of(m)(photos())) for m in (model, other))
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def sizes_of(*blocks: Any, end: Any = pooled) -> list[int]:
    return sorted(scalable_channels(network(list(blocks), end)).exact.values())


def test_a_residual_stream_is_one_group_and_each_branch_has_its_own() -> None:
    # stream 8; within each block the expansion and the depthwise layer's outputs; the end's 6
    assert sizes_of(residual, residual) == [6, 8, 12, 12, 12, 12]


def test_what_six_cuts_is_not_scaled_exactly_but_named_with_its_cap() -> None:
    channels = scalable_channels(network([residual_with_six], pooled))
    assert sorted(channels.exact.values()) == [6, 8]
    capped = set(channels.sizes) - set(channels.exact)
    assert {cap.group for cap in channels.caps} == capped
    assert [cap.limit for cap in channels.caps] == [6.0, 6.0]


def test_a_layer_used_twice_ties_what_it_reads_to_what_it_writes() -> None:
    channels = scalable_channels(network([twice], pooled))
    (part,) = [p for p in channels.parts if p.layer.startswith("conv2d_1") or p.reads == p.writes]
    assert part.reads == part.writes is not None


def test_a_flattened_tensor_has_its_channels_again_and_again() -> None:
    channels = scalable_channels(network([residual], flattened))
    assert sorted(channels.exact.values()) == [6, 8, 12, 12]


@pytest.mark.parametrize(
    ("block", "sizes"),
    [
        (swished, [6, 8, 8]),  # what comes before the block, what it gives, and the end's
        (joined, [6, 8]),  # what comes before goes into the concatenation
        (normed, [6]),
    ],
)
def test_what_is_not_homogeneous_ends_a_group(block: Any, sizes: list[int]) -> None:
    assert sizes_of(block) == sizes


def test_the_network_s_own_input_and_output_are_not_scaled() -> None:
    image = keras.Input((4, 4, 3))
    model = keras.Model(image, layers.ReLU()(layers.Conv2D(5, 1)(layers.ReLU()(image))))
    assert not scalable_channels(model).sizes


def test_channels_first_and_unknown_layers_are_held() -> None:
    class Odd(layers.Layer):
        def call(self, x: Tensor) -> Tensor:
            return x + 1.0

    image = keras.Input((4, 4, 3))
    x = Odd()(layers.Conv2D(5, 1)(image))
    x = layers.ReLU(threshold=1.0)(layers.Conv2D(6, 1)(x))
    x = layers.GlobalAveragePooling2D(data_format="channels_first")(layers.Conv2D(7, 1)(x))
    model = keras.Model(image, layers.Dense(2)(x))
    assert not scalable_channels(model).sizes
