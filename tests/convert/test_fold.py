from __future__ import annotations

import numpy as np
import pytest

from edgecnn.core.normalization import Normalization

pytestmark = pytest.mark.tensorflow


def test_a_folded_network_gives_the_same_answers(separable_network, pictures):
    from edgecnn.convert.fold import fold_batch_norm

    folded = fold_batch_norm(separable_network)
    x = pictures.astype(np.float32)
    np.testing.assert_allclose(folded(x), separable_network(x), atol=1e-5)


def test_no_batch_norm_is_left_and_the_original_keeps_its_own(separable_network):
    from edgecnn.convert.fold import fold_batch_norm

    def norms(model):
        return [layer.name for layer in model.layers if layer.name.endswith("_bn")]

    before = norms(separable_network)
    assert norms(fold_batch_norm(separable_network)) == []
    assert norms(separable_network) == before


def test_a_batch_norm_with_a_second_reader_of_its_convolution_stays():
    import keras
    from keras import layers

    from edgecnn.convert.fold import fold_batch_norm

    image = keras.Input((8, 8, 3))
    convolved = layers.Conv2D(4, 3, name="conv")(image)
    normed = layers.BatchNormalization(name="bn")(convolved)
    model = keras.Model(image, layers.Add()([convolved, normed]))
    assert "bn" in {layer.name for layer in fold_batch_norm(model).layers}


def test_folding_from_a_layer_leaves_out_what_comes_before_it(separable_network, pictures):
    from edgecnn.convert.fold import fold_batch_norm

    inner = fold_batch_norm(separable_network, start="normalize")
    x = pictures.astype(np.float32)
    np.testing.assert_allclose(inner(x / 127.5 - 1), separable_network(x), atol=1e-5)


PER_CHANNEL = Normalization((1 / 58.4, 1 / 57.1, 1 / 57.4), (-2.12, -2.04, -1.80))


def first_convolution(**options):
    import keras
    from keras import layers

    image = keras.Input((9, 9, 3), name="image")
    x = layers.Rescaling(list(PER_CHANNEL.scale), list(PER_CHANNEL.offset), name="normalize")(image)
    kind = options.pop("kind", layers.Conv2D)
    if options.pop("padded", False):
        x = layers.ZeroPadding2D(1)(x)
    return keras.Model(image, kind(kernel_size=3, **options)(x))


@pytest.mark.parametrize(
    "options",
    [{"filters": 4}, {"filters": 4, "strides": 2}, {"kind": "depthwise", "depth_multiplier": 2}],
    ids=str,
)
def test_a_first_convolution_takes_over_what_differs_between_channels(options, pictures):
    from keras import layers

    from edgecnn.convert.fold import fold_batch_norm, fold_channels

    if options.get("kind") == "depthwise":
        options = {**options, "kind": layers.DepthwiseConv2D}
    model = first_convolution(**options)
    inner = fold_batch_norm(model, start="normalize")
    common = fold_channels(inner, PER_CHANNEL)
    assert common is not None
    assert common.is_scalar
    photos = pictures[:8, :9, :9]
    np.testing.assert_allclose(inner(common.apply(photos)), model(photos * 1.0), atol=2e-5)


def test_at_a_padded_border_the_zero_pixel_is_the_channels_mean(pictures):
    from edgecnn.convert.fold import fold_batch_norm, fold_channels

    model = first_convolution(filters=4, padded=True)
    inner = fold_batch_norm(model, start="normalize")
    common = fold_channels(inner, PER_CHANNEL)
    photos = pictures[:8, :9, :9]
    difference = np.abs(inner(common.apply(photos)) - model(photos * 1.0))
    assert difference[:, 1:-1, 1:-1].max() < 2e-5
    assert difference.max() < 0.5


@pytest.mark.parametrize(
    "options", [{"filters": 4, "use_bias": False}, {"filters": 3, "groups": 3}]
)
def test_what_cannot_take_over_is_left_as_it_was(options):
    from edgecnn.convert.fold import fold_batch_norm, fold_channels

    inner = fold_batch_norm(first_convolution(**options), start="normalize")
    before = inner.get_weights()
    assert fold_channels(inner, PER_CHANNEL) is None
    for old, new in zip(before, inner.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
