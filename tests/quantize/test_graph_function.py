"""A float TFLite file run by TensorFlow: the runtime's numbers, on a batch, with gradients."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn.core.errors import InputError

pytest.importorskip("tensorflow")

import keras
import tensorflow as tf

from edgecnn import zoo
from edgecnn.convert import tflite
from edgecnn.convert.fold import fold_batch_norm
from edgecnn.convert.frozen import freeze, freeze_call
from edgecnn.quantize.graph_function import GraphFunction

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

# One of each kind: residual, separable, squeeze-excite with hard swish or swish, inception
# with local response, tanh with average pooling, padding, dense layers.
NETWORKS = {
    "ds_cnn": 32,
    "mobilenet_v2": 32,
    "mobilenet_v3_small": 32,
    "mobilenet_v4_conv_small": 32,
    "efficientnet_b0": 32,
    "googlenet": 64,
    "lenet5": 32,
    "dense_baseline": 16,
    "xception_small": 32,
    "tutorial_cnn": 46,
    "resnet18": 32,
}


def float_file(name: str, size: int) -> bytes:
    keras.utils.set_random_seed(2)
    alpha = 0.35 if zoo.find(name).has_alpha else 1.0
    network = zoo.attach_head(zoo.build(name, shape=(size, size, 3), alpha=alpha), 5)
    kernel, bias = network.get_layer("logits").get_weights()
    network.get_layer("logits").set_weights([kernel * 20, bias])
    return tflite.float32(freeze(fold_batch_norm(network)))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_of_the_zoo_answers_as_in_the_runtime(name):
    from ai_edge_litert.interpreter import Interpreter

    size = NETWORKS[name]
    content = float_file(name, size)
    photos = np.random.default_rng(0).uniform(0, 255, (3, size, size, 3)).astype(np.float32)
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    expected = []
    for photo in photos:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], photo[None])
        interpreter.invoke()
        expected.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0])
    graph = GraphFunction(content)
    found = graph(tf.constant(photos))[graph.output].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_scores_are_what_a_final_softmax_reads():
    graph = GraphFunction(float_file("lenet5", 32))
    values = graph(tf.random.uniform((2, 32, 32, 3), 0, 255, seed=1))
    probabilities = tf.nn.softmax(values[graph.scores]).numpy()
    np.testing.assert_allclose(probabilities, values[graph.output].numpy(), atol=1e-6)


def test_readers_and_writers_may_change_every_value():
    content = tflite.float32(
        freeze_call(lambda x: tf.nn.relu(tf.reduce_mean(x, (1, 2))) * 2.0, (1, 3, 3, 2))
    )
    graph = GraphFunction(content)
    doubled = graph(
        tf.ones((1, 3, 3, 2)),
        reads=lambda step, position, value: value * 3 if step.name == "MUL" else value,
        writes=lambda step, name, value, read: value + 1 if step.name == "MEAN" else value,
    )
    np.testing.assert_allclose(doubled[graph.output].numpy(), [[36.0, 36.0]])  # (1 + 1)3 * 2 * 3


def test_an_operation_without_a_counterpart_is_named():
    content = tflite.float32(freeze_call(lambda x: tf.math.sin(x) + tf.math.cos(x), (1, 4)))
    with pytest.raises(InputError, match="COS, SIN"):
        GraphFunction(content)
