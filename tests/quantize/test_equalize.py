"""Equalization: the same answers, even ranges; and files with one scale a layer."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("tensorflow")

import keras
from keras import layers

from edgecnn.core.normalization import same_for_all
from edgecnn.quantize.channels import scalable_channels
from edgecnn.quantize.equalize import equalize, rescaled

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]


def convolution(channels: int, activation: str) -> Any:
    return layers.Conv2D(channels, 3, padding="same", activation=activation)


def network(
    blocks: int = 2, activation: str = "relu", seed: int = 0, *, scale: float = 1.0
) -> keras.Model:
    """A stem, residual blocks on one stream, a dense layer behind a flattened pool."""
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Rescaling(scale, offset=-1.0 if scale < 1 else 0.0, name="normalize")(image)
    x = layers.Conv2D(8, 3, 2, padding="same", name="stem")(x)
    for block in range(blocks):
        y = layers.Conv2D(16, 1, activation=activation, name=f"expand{block}")(x)
        y = layers.DepthwiseConv2D(3, padding="same", name=f"depthwise{block}")(y)
        y = layers.Activation(activation)(y)
        x = layers.Add()([x, layers.Conv2D(8, 1, name=f"project{block}")(y)])
    x = layers.Flatten()(layers.MaxPooling2D(2)(x))
    x = layers.Softmax()(layers.Dense(5, name="logits")(x))
    model = keras.Model(image, x)
    random = np.random.default_rng(seed)
    for layer in model.layers:
        layer.set_weights([random.normal(0, 0.3, w.shape) for w in layer.get_weights()])
    return model


def spread(model: keras.Model, seed: int = 3) -> keras.Model:
    """The same function, its channels multiplied by anything between 1/64 and 64."""
    channels = scalable_channels(model)
    random, limit = np.random.default_rng(seed), np.log(64)
    sizes = channels.exact.items()
    return rescaled(
        model, channels, {g: np.exp(random.uniform(-limit, limit, n)) for g, n in sizes}
    )


def photos(count: int = 16) -> Any:
    return np.random.default_rng(1).uniform(-1, 1, (count, 8, 8, 3)).astype(np.float32)


def logits(model: keras.Model) -> Any:
    return np.asarray(keras.Model(model.input, model.layers[-1].input)(photos()))


def ranges(model: keras.Model, layer: str, axis: int) -> Any:
    """The largest weight of each channel along an axis of a layer's kernel."""
    kernel = np.abs(model.get_layer(layer).get_weights()[0])
    return np.moveaxis(kernel, axis, -1).reshape(-1, kernel.shape[axis]).max(axis=0)


def unevenness(values: Any) -> float:
    return float(values.max() / np.median(values))


@settings(max_examples=12)
@given(
    blocks=st.integers(1, 3), activation=st.sampled_from(("relu", "linear", "relu6", "tanh")),
    seed=st.integers(0, 50),
)  # fmt: skip
def test_the_equalized_network_answers_the_same(blocks: int, activation: str, seed: int) -> None:
    model = spread(network(blocks, activation, seed))
    before = [weights.copy() for weights in model.get_weights()]
    expected, found = logits(model), logits(equalize(model))
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_ranges_of_a_spread_residual_stream_are_even_again() -> None:
    model = network()
    uneven, even = spread(model), equalize(spread(model))
    for layer, axis in (("project0", -1), ("project1", -1), ("expand0", -2), ("expand1", -2)):
        assert unevenness(ranges(uneven, layer, axis)) > 4
        assert unevenness(ranges(even, layer, axis)) < 2.5


def test_how_a_network_was_spread_does_not_matter() -> None:
    model = network()
    found = [equalize(other).get_weights() for other in (model, spread(model, 1), spread(model, 2))]
    for one, other in itertools.pairwise(found):
        for ours, theirs in zip(one, other, strict=True):
            # A whole group may be larger: that changes no integer.
            same = np.allclose(ours / np.abs(ours).max(), theirs / np.abs(theirs).max(), atol=0.01)
            assert same


def test_two_layers_meet_at_the_geometric_mean_of_their_ranges() -> None:
    image = keras.Input((4, 4, 3))
    x = layers.Conv2D(6, 1, activation="relu", name="before")(image)
    model = keras.Model(image, layers.Conv2D(5, 1, name="after")(x))
    even = equalize(spread(model))
    before, after = ranges(even, "before", -1), ranges(even, "after", -2)
    assert np.allclose(before / before.max(), after / after.max(), rtol=1e-2)


def test_biases_scale_with_their_channels() -> None:
    model = network(1)
    even = equalize(model)
    for name in ("stem", "project0", "expand0", "depthwise0"):
        kernels, biases = zip(
            *(m.get_layer(name).get_weights() for m in (model, even)), strict=True
        )
        axis = -2 if name.startswith("depth") else -1
        largest = [np.moveaxis(np.abs(k), axis, -1).reshape(-1, k.shape[axis]) for k in kernels]
        moved = biases[1] / biases[0]
        assert (moved > 0).all()
        if name == "stem":  # its inputs are pixels: bias and kernel scale alike
            assert np.allclose(largest[1].max(0) / largest[0].max(0), moved, rtol=1e-4)


def test_six_is_left_alone_without_photos() -> None:
    model = network(1, "relu6")
    even = equalize(model)
    assert np.array_equal(
        model.get_layer("depthwise0").get_weights()[0],
        even.get_layer("depthwise0").get_weights()[0],
    )


def quiet_and_loud() -> keras.Model:
    """Channels behind ReLU6: the first four stay far below six, the others reach it."""
    image = keras.Input((8, 8, 3))
    x = layers.ReLU(6, name="six")(layers.Conv2D(8, 1, name="expand")(image))
    x = layers.GlobalAveragePooling2D()(layers.DepthwiseConv2D(3, name="depthwise")(x))
    model = keras.Model(image, layers.Softmax()(layers.Dense(4, name="logits")(x)))
    random = np.random.default_rng(0)
    scale = np.array([0.003, 0.01, 0.02, 0.1, 9, 9, 9, 9])
    model.get_layer("expand").set_weights([random.normal(0, 1, (1, 1, 3, 8)) * scale, np.zeros(8)])
    kernel = random.normal(0, 1, (3, 3, 8, 1)) / scale[:, None]
    model.get_layer("depthwise").set_weights([kernel, np.zeros(8)])
    return model


def test_with_photos_channels_below_six_are_scaled_and_stay_below_it() -> None:
    model = quiet_and_loud()
    even = equalize(model, (photo[None] for photo in photos()))
    assert np.allclose(logits(even), logits(model), rtol=1e-4, atol=1e-5)
    before, after = (ranges(m, "expand", -1) for m in (model, even))
    assert np.array_equal(before[4:], after[4:])  # what six cuts stays exactly as it was
    assert (after[:4] > 2 * before[:4]).all()
    watched = keras.Model(even.input, even.get_layer("six").output)(photos())
    assert np.asarray(watched)[..., :4].max() < 6 / 1.2
    depthwise = [unevenness(ranges(m, "depthwise", -2)) for m in (model, even)]
    assert depthwise[1] < depthwise[0] / 4


def test_dead_channels_stay_dead_and_the_answers_the_same() -> None:
    model = network(1)
    kernel, bias = model.get_layer("expand0").get_weights()
    kernel[..., :3] = 0.0
    model.get_layer("expand0").set_weights([kernel, bias])
    kernel, bias = model.get_layer("project0").get_weights()
    kernel[..., 5, :] = 0.0
    model.get_layer("project0").set_weights([kernel, bias])
    even = equalize(model)
    assert all(np.isfinite(weights).all() for weights in even.get_weights())
    assert np.abs(logits(even) - logits(model)).max() <= 1e-5 * np.abs(logits(model)).max()
    kernel, _ = even.get_layer("expand0").get_weights()
    assert (kernel[..., :3] == 0).all()


def test_what_reads_a_dead_channel_does_not_set_its_layer_s_range() -> None:
    model = network(1)
    kernel, bias = model.get_layer("expand0").get_weights()
    kernel[..., 0] *= 1e-10
    model.get_layer("expand0").set_weights([kernel, bias * 1e-3])
    kernel, bias = model.get_layer("depthwise0").get_weights()
    kernel[:, :, 0] *= 1000
    model.get_layer("depthwise0").set_weights([kernel, bias])
    even = equalize(model)
    uneven = [unevenness(ranges(m, "depthwise0", -2)) for m in (model, even)]
    assert uneven[0] > 100
    assert uneven[1] < 4
    assert np.abs(logits(even) - logits(model)).max() <= 1e-5 * np.abs(logits(model)).max()


def test_a_layer_used_twice_stays_one_layer() -> None:
    image = keras.Input((8, 8, 3))
    shared = convolution(8, "relu")
    x = shared(shared(convolution(8, "relu")(image)))
    model = keras.Model(image, layers.Softmax()(layers.Dense(4)(layers.Flatten()(x))))
    uneven = spread(model)
    even = equalize(uneven)
    assert len(even.layers) == len(model.layers)
    assert np.abs(logits(even) - logits(model)).max() <= 1e-4 * np.abs(logits(model)).max()


def pictures() -> Any:
    return (np.rint(127.5 * (photo[None] + 1)).astype(np.uint8) for photo in photos(48))


@pytest.fixture(scope="module")
def uneven() -> keras.Model:
    """Takes pixels 0..255; its residual stream is spread."""
    return spread(network(scale=1 / 127.5))


def writers(model: keras.Model, **options: Any) -> Any:
    from edgecnn.export.writers import Writers

    return Writers(model, same_for_all(1 / 127.5, -1.0), pictures, **options)


def tflite_answers(content: bytes) -> Any:
    from edgecnn.quantize.tflite import outputs_of

    return np.concatenate(list(outputs_of(content, pictures()))).argmax(axis=1)


def onnx_answers(content: bytes) -> Any:
    import onnxruntime

    session = onnxruntime.InferenceSession(content)
    image = session.get_inputs()[0].name
    return np.array([session.run(None, {image: p})[0].argmax() for p in pictures()])


def tflite_scales(content: bytes) -> list[tuple[int, int, int]]:
    """Scales and quantized dimension of each layer's weights, scales of its bias."""
    from edgecnn.quantize import tflite_graph

    model = tflite_graph.read(content)
    graph = model.subgraphs[0]
    found = []
    for operator in graph.operators:
        if tflite_graph.operation(model, operator) in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            weights, bias = (graph.tensors[i].quantization for i in operator.inputs[1:3])
            found.append((len(weights.scale), weights.quantizedDimension, len(bias.scale)))
    return found


def onnx_scale_shapes(content: bytes) -> set[tuple[int, ...]]:
    """Shapes of the scales of weights and biases."""
    import onnx

    graph = onnx.load_from_string(content).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    names = {name for node in graph.node for name in node.input if name.endswith("/scales")}
    assert len(names) >= 8
    return {shapes[name] for name in names}


@pytest.mark.parametrize("rounding", ["nearest", "compensated"])
def test_files_with_one_scale_a_layer_say_so_and_agree(uneven: Any, rounding: Any) -> None:
    maker = writers(uneven, rounding=rounding, per_tensor=True, equalize=True)
    tflite, onnx = (maker.make(s, "int8", "uint8").content for s in ("tflite", "onnx"))
    assert set(tflite_scales(tflite)) == {(1, 0, 1)}
    assert onnx_scale_shapes(onnx) == {()}
    expected = np.concatenate([uneven(p.astype(np.float32)) for p in pictures()]).argmax(axis=1)
    assert np.mean(tflite_answers(tflite) == onnx_answers(onnx)) > 0.97
    assert np.mean(tflite_answers(tflite) == expected) > 0.85
    row = json.loads(maker.plan.to_json())
    assert row["per_tensor_weights"] is row["equalized"] is True
    layers_with = [layer for layer in row["layers"].values() if "weight_scales" in layer]
    assert {layer["weight_scales"]["count"] for layer in layers_with} == {1}
    assert {layer["why"] for layer in layers_with} == {"int8 kernel, one scale for all weights"}


def test_the_integer_only_form_has_one_scale_a_layer_too(uneven: Any) -> None:
    maker = writers(uneven, per_tensor=True, equalize=True, onnx_form="integer")
    made = maker.make("onnx", "int8", "uint8")
    assert made.twin is not None
    assert onnx_scale_shapes(made.twin) == {()}
    assert np.mean(onnx_answers(made.content) == onnx_answers(made.twin)) > 0.97


def test_without_equalization_one_scale_a_layer_ruins_a_spread_network(uneven: Any) -> None:
    expected = np.concatenate([uneven(p.astype(np.float32)) for p in pictures()]).argmax(axis=1)
    same = [
        np.mean(
            tflite_answers(
                writers(uneven, per_tensor=True, equalize=equalized)
                .make("tflite", "int8", "uint8")
                .content
            )
            == expected
        )
        for equalized in (False, True)
    ]
    assert same[0] < same[1] - 0.15


def test_activations_of_16_bits_take_one_scale_a_layer_too(uneven: Any) -> None:
    content = writers(uneven, per_tensor=True).make("tflite", "int16x8", "uint8").content
    assert set(tflite_scales(content)) == {(1, 0, 1)}


def test_training_with_rounding_keeps_one_scale_a_layer(uneven: Any) -> None:
    maker = writers(uneven, per_tensor=True, equalize=True)
    plan = maker.trained(maker.plan, epochs=1)
    assert plan.per_tensor
    rounded = [layer.rounded for layer in plan.layers.values() if layer.rounded]
    assert {len(each.scales) for each in rounded} == {1}


def test_float_files_are_those_of_the_network_as_it_was(uneven: Any) -> None:
    plain, other = (
        writers(uneven, equalize=equalized).make("tflite", "float32", "float32").content
        for equalized in (False, True)
    )
    assert plain == other
