"""What is folded changes no answer: the graph of pixels and the integers' graph agree."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn.core.normalization import Normalization, same_for_all

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

SCALAR = same_for_all(1 / 127.5, -1.0)
# Where 0 is the same pixel in all channels: a border of zeros can then be folded exactly.
CHANNELS = Normalization((0.017, 0.018, 0.019), (-1.7, -1.8, -1.9))


def network(call, size=12):
    from edgecnn.convert.frozen import freeze_call
    from edgecnn.convert.network import from_frozen

    return from_frozen(freeze_call(call, (1, size, size, 3)))


def stirred(model):
    from keras import layers

    random = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            n = layer.gamma.shape[0]
            layer.set_weights(
                [
                    random.uniform(0.5, 1.5, n),
                    random.normal(0, 0.3, n),
                    random.normal(0, 0.2, n),
                    random.uniform(0.2, 1, n),
                ]
            )
    return lambda image: model(image, training=False)


def plain(layers, image):
    x = layers.ZeroPadding2D(1)(image)
    x = layers.Conv2D(6, 3, 2, use_bias=False)(x)
    return layers.ReLU(6)(layers.BatchNormalization()(x))


def pre_activated(layers, image):
    x = plain(layers, image)
    y = layers.ReLU()(layers.BatchNormalization()(x))
    return layers.Add()([x, layers.Conv2D(6, 3, padding="same")(y)])


def depthwise(layers, image):
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(image)
    return layers.ReLU()(layers.BatchNormalization()(x))


def rescaled(layers, image):
    x = layers.Rescaling(1 / 64, -1)(image)
    x = layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0])(x)
    return plain(layers, x)


def pooled_first(layers, image):
    return plain(layers, layers.AveragePooling2D(2)(image))


BODIES = {f.__name__: f for f in (plain, pre_activated, depthwise, rescaled, pooled_first)}


@pytest.fixture(scope="module", params=BODIES)
def kind(request):
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    image = keras.Input((12, 12, 3))
    x = layers.GlobalAveragePooling2D()(BODIES[request.param](layers, image))
    x = layers.Dense(4)(layers.BatchNormalization()(x))
    return request.param, network(stirred(keras.Model(image, layers.Dense(5)(x))))


@pytest.mark.parametrize("is_bgr", [False, True], ids=["rgb", "bgr"])
@pytest.mark.parametrize("normalization", [SCALAR, CHANNELS], ids=["scalar", "channels"])
def test_folding_changes_no_answer(kind, normalization, is_bgr) -> None:
    from edgecnn.convert.network import classifier, integer_graph, pixel_graph, runner

    name, core = kind
    core = classifier(core, "logits")
    before = runner(pixel_graph(core, normalization, is_bgr=is_bgr))
    folded, wanted = integer_graph(core, normalization, is_bgr=is_bgr)
    after = runner(folded)
    assert wanted.is_scalar
    # Own means a channel don't share the pixel that means zero: the border is rounded to one.
    bound = 0.02 if name == "rescaled" else 1e-5
    for seed in range(3):
        photo = np.random.default_rng(seed).integers(0, 256, (1, 12, 12, 3), dtype=np.uint8)
        assert np.abs(before(photo.astype(np.float32)) - after(wanted.apply(photo))).max() < bound


def test_no_scale_of_channels_is_left_to_a_multiplication(kind) -> None:
    from edgecnn.convert.graph import Graph
    from edgecnn.convert.network import integer_graph

    folded, _ = integer_graph(kind[1], CHANNELS, is_bgr=False)
    function = folded.function
    graph = Graph(
        function.graph.as_graph_def(), function.inputs[0].op.name, function.outputs[0].op.name
    )
    for node in graph.nodes.values():
        operands = [graph.constant(name) for name in node.input]
        assert node.op != "Mul" or all(v is None or v.size == 1 for v in operands), node.name


def test_reversed_colours_are_read_from_the_other_end() -> None:
    import tensorflow as tf

    from edgecnn.convert.network import pixel_graph, runner

    first = network(lambda image: tf.reduce_mean(image, (1, 2)))
    photo = np.zeros((1, 12, 12, 3), np.float32)
    photo[..., 0] = 255
    raw = same_for_all(1.0, 0.0)
    assert runner(pixel_graph(first, raw, is_bgr=True))(photo).tolist() == [[0, 0, 255]]
    assert runner(pixel_graph(first, raw, is_bgr=False))(photo).tolist() == [[255, 0, 0]]


@pytest.mark.parametrize("ending", ["sigmoid", "logit", "given"])
def test_one_output_says_how_likely_the_second_class_is(ending) -> None:
    import tensorflow as tf

    from edgecnn.convert.network import classifier, runner

    def call(image):
        logit = tf.reduce_mean(image, (1, 2))[:, :1] - 0.3
        if ending == "given":
            return tf.clip_by_value(tf.exp(logit) / (1 + tf.exp(logit)), 0, 1)
        return tf.sigmoid(logit) if ending == "sigmoid" else logit

    answer = "logits" if ending == "logit" else "probabilities"
    two = runner(classifier(network(call), answer).frozen())
    found = two(np.full((1, 12, 12, 3), 1.5, np.float32))
    expected = 1 / (1 + np.exp(-1.2))
    assert np.allclose(found, [[1 - expected, expected]], atol=1e-5)


def test_what_the_last_operation_says_is_what_the_network_gives() -> None:
    import tensorflow as tf

    def mean(image):
        return tf.reduce_mean(image, (1, 2))

    assert network(mean).says == "logits"
    assert network(lambda image: tf.nn.softmax(mean(image))).says == "probabilities"
    flat = network(lambda image: tf.reshape(tf.nn.softmax(mean(image)), (1, 1, 3)))
    assert flat.says == "probabilities"
