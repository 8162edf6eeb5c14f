"""One tiny graph an operation: int8 in both formats against float, and what ran in integers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.core.normalization import same_for_all
from edgecnn.quantize.grid import input_grid

pytest.importorskip("tensorflow")  # before keras

import keras
from keras import layers

from edgecnn.zoo.layers import DepthwiseMaxPooling, LocalResponseNormalization

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

NORMALIZATION = same_for_all(1 / 128, -127 / 128)

# A grid of 256 steps over a range leaves about 40 dB; a layer adds its weights' rounding, and
# where branches meet, the coarser one rules.
LEAST_SQNR_DB = 27.0


def conv(channels: int = 8, kernel: int = 3, **options: Any) -> layers.Layer:
    return layers.Conv2D(channels, kernel, padding=options.pop("padding", "same"), **options)


def lifted(x: Any) -> Any:
    """Positive and spread: what a ReLU would give, without its dead half."""
    return layers.ReLU()(conv()(x))


def squeeze_excite(x: Any) -> Any:
    y = layers.GlobalAveragePooling2D(keepdims=True)(x)
    y = layers.Conv2D(4, 1, activation="relu")(y)
    return layers.Multiply()([x, layers.Conv2D(8, 1, activation="sigmoid")(y)])


def hard_squeeze_excite(x: Any) -> Any:
    y = layers.GlobalAveragePooling2D(keepdims=True)(x)
    y = layers.Conv2D(8, 1, activation="hard_sigmoid")(y)
    return layers.Multiply()([x, y])


def inception(x: Any) -> Any:
    """Branches of different ranges, one of which others read too, and pooling between them."""
    a = conv(4, 1, activation="relu")(x)
    b = conv(4, activation="relu")(a)
    c = layers.AveragePooling2D(3, 1, padding="same")(x)
    d = layers.MaxPooling2D(3, 1, padding="same")(x)
    return conv(6, 1)(layers.Concatenate()([a, b * 3.0, conv(4, 1)(c), d]))


# name: graph behind a convolution, what TFLite and what ONNX Runtime have no int8 kernel for
OPERATIONS: dict[str, tuple[Callable[[Any], Any], set[str], set[str]]] = {
    "convolution": (conv(), set(), set()),
    "strided": (conv(strides=2), set(), set()),
    "valid": (conv(padding="valid"), set(), set()),
    "dilated": (conv(dilation_rate=2), set(), set()),
    "grouped": (conv(groups=4), set(), set()),
    "depthwise": (layers.DepthwiseConv2D(3, padding="same"), set(), set()),
    "depthwise of two": (layers.DepthwiseConv2D(3, depth_multiplier=2), set(), set()),
    "depthwise dilated": (
        layers.DepthwiseConv2D(3, dilation_rate=2, padding="same"), set(), set()
    ),
    "separable": (layers.SeparableConv2D(6, 3, padding="same"), set(), set()),
    "transposed": (
        layers.Conv2DTranspose(6, 3, strides=2, padding="same"), set(), {"ConvTranspose"}
    ),
    "padded": (
        lambda x: conv(strides=2, padding="valid")(layers.ZeroPadding2D(1)(x)), set(), set()
    ),
    "padded pooling": (
        lambda x: layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(lifted(x))), set(), set()
    ),
    "cropped": (layers.Cropping2D(((1, 2), (0, 3))), set(), set()),
    "flattened": (lambda x: layers.Dense(5)(layers.Flatten()(x)), set(), set()),
    "max pooling": (layers.MaxPooling2D(3, 2, padding="same"), set(), set()),
    "average pooling": (layers.AveragePooling2D(3, 1, padding="same"), set(), set()),
    "global average": (layers.GlobalAveragePooling2D(), set(), set()),
    "global maximum": (layers.GlobalMaxPooling2D(), set(), set()),
    "depthwise maximum": (DepthwiseMaxPooling(2), set(), set()),
    "sum": (lambda x: layers.Add()([x, conv()(x)]), set(), set()),
    "sum and relu": (lambda x: layers.ReLU()(layers.Add()([x, conv()(x)])), set(), set()),
    "difference": (lambda x: layers.Subtract()([x, conv()(x)]), set(), {"Sub"}),
    "product": (lambda x: layers.Multiply()([x, conv(1)(x)]), set(), set()),
    "maximum": (lambda x: layers.Maximum()([x, conv()(x)]), set(), {"Max"}),
    "scaled": (lambda x: conv()(x * 0.17), set(), set()),
    "concatenated": (lambda x: layers.Concatenate()([x, 5 * conv()(x)]), set(), set()),
    "inception": (inception, set(), set()),
    "batch norm alone": (
        lambda x: conv()(layers.ReLU()(layers.BatchNormalization()(x))), set(), set()
    ),
    "relu twice read": (lambda x: layers.Add()([x, conv()(layers.ReLU()(x))]), set(), set()),
    "relu6": (lambda x: layers.ReLU(6.0)(conv()(x)), set(), set()),
    "leaky relu": (layers.LeakyReLU(0.1), set(), set()),
    "swish": (layers.Activation("silu"), set(), set()),
    "hard swish": (layers.Activation("hard_silu"), set(), set()),
    "sigmoid": (layers.Activation("sigmoid"), set(), set()),
    "hard sigmoid": (layers.Activation("hard_sigmoid"), set(), set()),
    "tanh": (layers.Activation("tanh"), set(), set()),
    "elu": (layers.ELU(), set(), {"Elu"}),
    "softmax": (lambda x: layers.Softmax()(4 * layers.GlobalAveragePooling2D()(x)), set(), set()),
    "squeeze-excite": (squeeze_excite, set(), set()),
    "hard squeeze-excite": (hard_squeeze_excite, set(), set()),
    "nearest": (layers.UpSampling2D(2), set(), set()),
    "bilinear": (layers.UpSampling2D(2, interpolation="bilinear"), set(), {"Resize"}),
    "local response": (
        LocalResponseNormalization(alpha=0.05), {"LOCAL_RESPONSE_NORMALIZATION"}, {"LRN"}
    ),
    "float inside": (
        lambda x: conv()(LocalResponseNormalization(alpha=0.05)(lifted(x))),
        {"LOCAL_RESPONSE_NORMALIZATION"}, {"LRN"},
    ),
    "1-D": (
        lambda x: layers.Conv1D(6, 3, padding="same", activation="relu")(
            layers.Reshape((144, 8))(x)
        ), set(), set(),
    ),
    "3-D": (
        lambda x: layers.Conv3D(6, 3, padding="same")(layers.Reshape((12, 12, 4, 2))(x)),
        {"CONV_3D"}, set(),
    ),
}  # fmt: skip


def network(graph: Callable[[Any], Any]) -> keras.Model:
    """Pixels of -1..1 through a convolution and the graph, with biases that are not zero."""
    keras.utils.set_random_seed(7)
    image = keras.Input((12, 12, 3), name="image")
    model = keras.Model(image, graph(layers.Conv2D(8, 3, padding="same")(image)))
    random = np.random.default_rng(3)
    for weight in model.weights:
        if len(weight.shape) == 1 and "variance" not in weight.path:
            weight.assign(weight + random.normal(0, 0.2, weight.shape))
    return model


@pytest.fixture(scope="module")
def inputs(pictures: Any) -> list[Any]:
    return [NORMALIZATION.apply(picture[None, ::2, ::2][:, :12, :12]) for picture in pictures[:24]]


def quantized(name: str, model: keras.Model, inputs: list[Any], io: str = "float32") -> Any:
    from edgecnn.convert import onnx as to_onnx
    from edgecnn.convert import tflite as to_tflite
    from edgecnn.convert.fold import fold_batch_norm
    from edgecnn.convert.frozen import freeze
    from edgecnn.quantize import onnx, tflite
    from edgecnn.quantize.planning import make_plan

    frozen = freeze(fold_batch_norm(model))
    grid, shift = input_grid(NORMALIZATION)
    if name == "tflite":
        content = to_tflite.float32(frozen)
        seen = tflite.observe(content, inputs).tensors
        plan = make_plan(content, seen, input_grid=grid, input_shift=shift)
        return tflite.quantize(content, plan, io=io)
    content = to_onnx.float32(frozen)
    seen = onnx.observe(content, inputs).tensors
    return onnx.quantize(content, seen, input_grid=grid, input_shift=shift, io=io)


def run(name: str, content: bytes, inputs: list[Any]) -> np.ndarray:
    if name == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(content)
        return np.concatenate([session.run(None, {"image": value})[0] for value in inputs])
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    entry, leave = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    outputs = []
    for value in inputs:
        interpreter.set_tensor(entry["index"], value)
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(leave["index"]))
    return np.concatenate(outputs)


def sqnr_db(expected: np.ndarray, found: np.ndarray) -> float:
    noise = np.mean((expected - found) ** 2)
    return float(10 * np.log10(np.mean(expected**2) / max(noise, 1e-20)))


@pytest.mark.parametrize("name", ["tflite", "onnx"])
@pytest.mark.parametrize("kind", OPERATIONS)
def test_an_operation_in_int8_gives_the_float_answer_from_integers(name, kind, inputs):
    from edgecnn.export.checks import check_file

    graph, *in_float = OPERATIONS[kind]
    model = network(graph)
    expected = np.asarray(model(np.concatenate(inputs)))
    made = quantized(name, model, inputs)
    found = run(name, made.content, inputs)
    assert found.shape == expected.shape
    assert sqnr_db(expected, found) >= LEAST_SQNR_DB
    allowed = in_float[("tflite", "onnx").index(name)]
    assert set(made.float_operations) == allowed
    check_file(
        made.content, name, scheme="int8", io="float32", where=Path("test"), in_float=allowed
    )


@pytest.mark.parametrize("name", ["tflite", "onnx"])
def test_a_dead_layer_gives_its_bias(name, inputs):
    model = network(lambda x: layers.Add()([conv(4, name="dead")(x), conv(4)(x)]))
    kernel, bias = model.get_layer("dead").get_weights()
    model.get_layer("dead").set_weights([kernel * 0, bias])
    expected = np.asarray(model(np.concatenate(inputs)))
    assert sqnr_db(expected, run(name, quantized(name, model, inputs).content, inputs)) > 25


@pytest.mark.parametrize("value", [0.0, 1e-20, 3.0, -2.0])
@pytest.mark.parametrize("name", ["tflite", "onnx"])
def test_a_constant_output_stays_what_it_is(name, value, inputs):
    model = network(conv(4, name="dead"))
    kernel, bias = model.get_layer("dead").get_weights()
    model.get_layer("dead").set_weights([kernel * 0, bias * 0 + value])
    found = run(name, quantized(name, model, inputs).content, inputs)
    np.testing.assert_allclose(found, value, rtol=0.01, atol=1e-6)


def test_branches_are_written_to_the_joined_grid_or_converted_to_it(inputs):
    from edgecnn.runtime import tflite

    made = quantized("tflite", network(inception), inputs, io="int8")
    graph = tflite.read(made.content, where="test")
    (join,) = (o for o in graph.operators if o.name == "CONCATENATION")
    grids = {
        (graph.tensors[p].scales, graph.tensors[p].zero_points)
        for p in (*join.inputs, *join.outputs)
    }
    assert len(grids) == 1
    # The branch that others read too, and the one that max pooling ties to another grid.
    assert sum(o.name == "QUANTIZE" for o in graph.operators) == 2


def test_grouped_and_dilated_convolutions_stay_single_operations(inputs):
    from edgecnn.runtime import tflite

    for options in ({"groups": 4}, {"dilation_rate": 2}):
        made = quantized("tflite", network(conv(**options)), inputs, io="int8")
        names = [o.name for o in tflite.read(made.content, where="test").operators]
        assert names == ["CONV_2D", "CONV_2D"]


def test_onnx_runtime_computes_in_integers_what_the_file_claims(inputs, tmp_path):
    import onnx
    import onnxruntime

    model = network(lambda x: squeeze_excite(layers.Activation("silu")(x)))
    made = quantized("onnx", model, inputs)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(made.content, options)
    names = {node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node}
    assert {"QLinearConv", "QLinearMul", "QLinearSigmoid", "QLinearGlobalAveragePool"} <= names
    assert not names & {"Conv", "Mul", "Sigmoid", "GlobalAveragePool", "Add"}
