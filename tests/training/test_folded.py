import keras
import numpy as np
import pytest
import tensorflow as tf

from edgecnn import zoo
from edgecnn.training.folded import Pointwise, fold, unfold

pytestmark = pytest.mark.tensorflow

ARCHITECTURES = ["ds_cnn", "efficientnet_lite0", "mobilenet_v2", "xception"]


def upper_of(name: str) -> keras.Model:
    keras.utils.set_random_seed(0)
    size = zoo.find(name).min_size
    body = zoo.build(name, shape=(size, size, 3))
    cuts = zoo.cut_points(body)
    return randomized(zoo.split(body, cuts[len(cuts) // 2])[1])


def randomized(model: keras.Model) -> keras.Model:
    random = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    return model


def features(model: keras.Model) -> np.ndarray:
    shape = (2, *model.input_shape[1:])
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def wrapped_kinds() -> keras.Model:
    """Keras's own ResNet has convolutions with a bias, its Inception batch norms without scale."""
    inputs = keras.Input((6, 6, 3))
    x = keras.layers.Conv2D(4, 3, bias_initializer="ones", name="biased")(inputs)
    x = keras.layers.BatchNormalization(name="biased_bn")(x)
    x = keras.layers.Conv2D(5, 1, use_bias=False, name="unscaled")(x)
    x = keras.layers.BatchNormalization(scale=False, name="unscaled_bn")(x)
    return randomized(keras.Model(inputs, x))


@pytest.mark.parametrize("name", [*ARCHITECTURES, "wrapped"])
def test_a_folded_copy_computes_the_same_and_gives_back_what_it_learned(name: str) -> None:
    upper = wrapped_kinds() if name == "wrapped" else upper_of(name)
    inputs = features(upper)
    expected = upper(inputs, training=False).numpy()
    scale = np.abs(expected).max()
    copy = fold(upper)
    assert np.abs(copy(inputs).numpy() - expected).max() < 1e-4 * scale
    random = np.random.default_rng(2)
    for weight in copy.trainable_weights:
        weight.assign(weight * (1 + 0.05 * random.normal(size=weight.shape)))
    learned = copy(inputs).numpy()
    assert np.abs(learned - expected).max() > 1e-3 * scale
    unfold(copy, upper)
    assert np.abs(upper(inputs, training=False).numpy() - learned).max() < 1e-4 * scale


def test_a_pointwise_convolution_has_the_gradients_of_the_plain_one() -> None:
    inputs = tf.random.stateless_normal((2, 5, 4, 3), (1, 2))
    plain, ours = (kind(7, 1, use_bias=True) for kind in (keras.layers.Conv2D, Pointwise))
    plain.build(inputs.shape)
    ours.build(inputs.shape)
    ours.set_weights(plain.get_weights())
    gradients = []
    for layer in (plain, ours):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = tf.reduce_sum(tf.sin(layer(inputs)))
        gradients.append(tape.gradient(loss, [inputs, *layer.trainable_weights]))
    for expected, found in zip(*gradients, strict=True):
        assert np.allclose(expected, found, atol=1e-5)
