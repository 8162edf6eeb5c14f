from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def converted():
    """A function (graph of Keras layers, input shape) to operation counts, answers, expected."""
    pytest.importorskip("tensorflow")
    import keras
    import onnx
    import onnxruntime

    from edgecnn.convert import onnx as to_onnx
    from edgecnn.convert.frozen import freeze

    def convert(graph, shape=(12, 12, 3)):
        keras.utils.set_random_seed(1)
        image = keras.Input(shape)
        model = keras.Model(image, graph(image))
        content = to_onnx.float32(freeze(model))
        counts = Counter(node.op_type for node in onnx.load_from_string(content).graph.node)
        value = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
        found = onnxruntime.InferenceSession(content).run(None, {"image": value})[0]
        np.testing.assert_allclose(found, model(value), atol=1e-5)
        return counts

    return convert


def test_h_swish_and_squeeze_excite_and_padding_stay_channels_first(converted):
    from keras import layers

    def graph(x):
        x = layers.Activation("hard_silu")(layers.Conv2D(8, 3, padding="same")(x))
        y = layers.GlobalAveragePooling2D(keepdims=True)(x)
        y = layers.Conv2D(8, 1, activation="hard_sigmoid")(y)
        x = layers.Multiply()([x, y])
        x = layers.Conv2D(8, 3, 2)(layers.ZeroPadding2D(((1, 2), (0, 3)))(x))
        return layers.Flatten()(layers.GlobalAveragePooling2D()(x))

    counts = converted(graph)
    assert counts["Transpose"] <= 2
    assert counts["GlobalAveragePool"] == 2
    assert counts["ReduceMean"] == 0


def test_constants_a_channel_and_joined_channels_follow(converted):
    import numpy as np
    from keras import layers

    gain = np.linspace(0.5, 2, 8).astype(np.float32)

    def graph(x):
        a = layers.Conv2D(8, 3, padding="same")(x)
        b = layers.ReLU()(a) * gain + gain[::-1].copy()
        x = layers.Concatenate()([a, b])
        return layers.Conv2D(4, 1)(layers.Maximum()([x, 0.1 * x]))

    assert converted(graph)["Transpose"] <= 2


def test_a_mean_over_channels_is_left_where_it_is(converted):
    import keras
    from keras import layers

    def graph(x):
        x = layers.Conv2D(8, 3)(x)
        return layers.Conv2D(2, 1)(x * keras.ops.mean(x, axis=-1, keepdims=True))

    converted(graph)


def test_volumes_and_sequences_convert_too(converted):
    from keras import layers

    converted(lambda x: layers.Conv3D(4, 3)(layers.ReLU()(layers.Conv3D(4, 3)(x))), (8, 8, 8, 2))
    converted(lambda x: layers.Conv1D(4, 3)(layers.ReLU()(layers.Conv1D(4, 3)(x))), (16, 2))


BACK, FORTH = [0, 2, 3, 1], [0, 3, 1, 2]
PADS = np.array([0, 1, 2, 0, 0, 0, 1, 3])


@pytest.mark.parametrize(
    ("op", "inputs", "attributes"),
    [
        ("Concat", "a b", {"axis": -1}),
        ("Concat", "a b", {"axis": 1}),
        ("Pad", "a pads", {}),
        ("Pad", "a pads one", {}),
        ("ReduceMean", "a", {"axes": [1, 2]}),
        ("ReduceMean", "a", {"axes": [-3, -2], "keepdims": 0}),
        ("ReduceMean", "a", {"axes": [2]}),
        ("ReduceMean", "a", {"axes": [3], "keepdims": 0}),
        ("ReduceMax", "a", {"axes": [1, 2], "keepdims": 0}),
        ("ReduceMax", "a", {"axes": [3]}),
        ("Add", "a x", {}),
        ("Add", "a planes", {}),
        ("Sub", "row a", {}),
        ("Mul", "a batch", {}),
        ("Max", "a b", {}),
    ],
    ids=str,
)
def test_a_graph_answers_as_before_whatever_was_moved(op, inputs, attributes):
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    from edgecnn.convert.onnx_layout import channels_first

    random = np.random.default_rng(0)
    constants = {
        "pads": PADS,
        "one": np.array(1.0, np.float32),
        "row": random.normal(size=3).astype(np.float32),
        "planes": random.normal(size=(5, 6, 3)).astype(np.float32),
        "batch": random.normal(size=(2, 1, 5, 6, 3)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Transpose", ["x"], ["n"], perm=FORTH),
        helper.make_node("Relu", ["n"], ["r"]),
        helper.make_node("Neg", ["n"], ["s"]),
        helper.make_node("Transpose", ["r"], ["a"], perm=BACK),
        helper.make_node("Transpose", ["s"], ["b"], perm=BACK),
        helper.make_node(op, inputs.split(), ["y"], **attributes),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 5, 6, 3))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(v, k) for k, v in constants.items() if k in inputs.split()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    def answer():
        session = onnxruntime.InferenceSession(model.SerializeToString())
        value = np.random.default_rng(1).normal(size=(1, 5, 6, 3)).astype(np.float32)
        return session.run(None, {"x": value})[0]

    before = answer()
    channels_first(model.graph)
    np.testing.assert_allclose(answer(), before, atol=1e-6)
