from __future__ import annotations

import numpy as np
import pytest

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
