"""A plan simulated in float: what the integer file computes, and what becomes of it untouched."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgecnn.core.errors import InputError
from edgecnn.core.normalization import same_for_all
from edgecnn.quantize.grid import input_grid

pytest.importorskip("tensorflow")

import keras
import tensorflow as tf
from keras import layers

from edgecnn.convert import tflite as to_tflite
from edgecnn.convert.fold import fold_batch_norm
from edgecnn.convert.frozen import freeze
from edgecnn.quantize import tflite
from edgecnn.quantize.plan import Plan, Rounded
from edgecnn.quantize.planning import make_plan
from edgecnn.quantize.simulation import Simulation
from edgecnn.zoo.layers import LocalResponseNormalization

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

NORMALIZATION = same_for_all(1 / 127.5, -1.0)  # zero is no whole pixel: the input is shifted


def planned(model: Any, pictures: np.ndarray, bits: int = 8) -> tuple[bytes, Plan]:
    start = "normalize" if "normalize" in {layer.name for layer in model.layers} else None
    content = to_tflite.float32(freeze(fold_batch_norm(model, start=start)))
    inputs = (NORMALIZATION.apply(picture[None]) for picture in pictures)
    grid, shift = input_grid(NORMALIZATION)
    seen = tflite.observe(content, inputs).tensors
    return content, make_plan(content, seen, input_grid=grid, input_shift=shift, bits=bits)


def run_file(content: bytes, pictures: np.ndarray) -> np.ndarray:
    """Return the integers that an int8 file answers."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    outputs = []
    for picture in (pictures.astype(np.int16) - 128).astype(np.int8):
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture[None])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0])
    return np.stack(outputs).astype(np.int32)


def simulate(simulation: Simulation, plan: Plan, pictures: np.ndarray) -> np.ndarray:
    """Return the integers that the simulation answers."""
    _, answers = simulation(tf.constant((pictures.astype(np.int16) - 128).astype(np.int8)))
    grid = plan.tensors[simulation.graph.output].grid
    return np.rint(answers.numpy() / grid.scale + grid.zero_point).astype(np.int32)


def conv(channels: int = 8, kernel: int = 3, **options: Any) -> layers.Layer:
    return layers.Conv2D(channels, kernel, padding=options.pop("padding", "same"), **options)


def squeeze_excite(x: Any) -> Any:
    y = layers.GlobalAveragePooling2D(keepdims=True)(x)
    y = layers.Conv2D(4, 1, activation="relu")(y)
    return layers.Multiply()([x, layers.Conv2D(8, 1, activation="sigmoid")(y)])


def inception(x: Any) -> Any:
    a = conv(4, 1, activation="relu")(x)
    b = conv(4, activation="relu")(a)
    c = layers.AveragePooling2D(3, 1, padding="same")(x)
    return conv(6, 1)(layers.Concatenate()([a, b * 3.0, conv(4, 1)(c)]))


# What kernels do in ways of their own: rounding twice, averaging integers, looking values up.
GRAPHS: dict[str, Callable[[Any], Any]] = {
    "convolution": conv(),
    "without a bias": conv(use_bias=False),
    "grouped": conv(groups=4),
    "depthwise": layers.DepthwiseConv2D(3, strides=2, padding="same"),
    "transposed": layers.Conv2DTranspose(6, 3, strides=2, padding="same", use_bias=False),
    "dense": lambda x: layers.Dense(5)(layers.Flatten()(x)),
    "average pooling": lambda x: conv()(layers.AveragePooling2D(2)(x)),
    "global average": layers.GlobalAveragePooling2D(),
    "sum": lambda x: layers.ReLU()(layers.Add()([x, conv()(x)])),
    "product": lambda x: layers.Multiply()([x, conv(1)(x)]),
    "constant": lambda x: conv()(x * 0.17 + 0.3),
    "squeeze-excite": squeeze_excite,
    "inception": inception,
    "larger": lambda x: layers.Maximum()([x, conv()(x)]),
    "hard swish": layers.Activation("hard_silu"),
    "swish": layers.Activation("silu"),
    "tanh": layers.Activation("tanh"),
    "padded": lambda x: conv(strides=2, padding="valid")(layers.ZeroPadding2D(1)(x)),
    "bilinear": layers.UpSampling2D(2, interpolation="bilinear"),
    "float inside": lambda x: conv()(LocalResponseNormalization(alpha=0.05)(conv()(x))),
    "float at the end": lambda x: LocalResponseNormalization(alpha=0.05)(conv()(x)),
}


@pytest.fixture(scope="module")
def small_pictures(pictures) -> np.ndarray:
    return pictures[:24, ::2, ::2][:, :12, :12]


def network(graph: Callable[[Any], Any]) -> keras.Model:
    keras.utils.set_random_seed(7)
    image = keras.Input((12, 12, 3), name="image")
    model = keras.Model(image, graph(layers.Conv2D(8, 3, padding="same")(image)))
    random = np.random.default_rng(3)
    for weight in model.weights:
        if len(weight.shape) == 1:
            weight.assign(weight + random.normal(0, 0.2, weight.shape))
    return model


@pytest.mark.parametrize("kind", GRAPHS)
def test_a_simulated_operation_gives_the_integers_of_the_file(kind, small_pictures):
    content, plan = planned(network(GRAPHS[kind]), small_pictures)
    expected = run_file(tflite.quantize(content, plan, io="int8").content, small_pictures)
    found = simulate(Simulation(content, plan), plan, small_pictures)
    assert np.mean(found == expected) >= 0.995  # the rest are ties of the runtime's arithmetic
    assert np.abs(found - expected).max() <= 1


def test_a_network_simulated_gives_the_answers_of_the_file(separable_network, pictures):
    content, plan = planned(separable_network, pictures[:32])
    expected = run_file(tflite.quantize(content, plan, io="int8").content, pictures)
    found = simulate(Simulation(content, plan), plan, pictures)
    assert np.abs(found - expected).max() <= 2
    assert np.mean(found.argmax(1) == expected.argmax(1)) == 1.0


def test_what_nobody_trained_is_the_plan_that_came(separable_network, pictures):
    content, plan = planned(separable_network, pictures[:32])
    after = Simulation(content, plan).to_plan()
    assert {n: t.grid for n, t in after.tensors.items()} == {
        n: t.grid for n, t in plan.tensors.items()
    }
    for name, layer in plan.layers.items():
        if layer.rounded is None:
            continue
        found = after.layers[name]
        assert found.rounding == "trained"
        np.testing.assert_array_equal(found.rounded.weights, layer.rounded.weights)
        np.testing.assert_allclose(found.rounded.bias, layer.rounded.bias, rtol=1e-6, atol=1e-7)


def test_integers_that_a_plan_chose_are_where_learning_starts(separable_network, pictures):
    content, plan = planned(separable_network, pictures[:32])
    name = next(n for n, layer in plan.layers.items() if layer.operation == "FULLY_CONNECTED")
    chosen = plan.layers[name].rounded.weights.copy()
    chosen[0, :4] += 3
    rounded = dataclasses.replace(plan.layers[name].rounded, weights=chosen)
    layer = dataclasses.replace(plan.layers[name], rounded=rounded)
    changed = dataclasses.replace(plan, layers={**plan.layers, name: layer})
    after = Simulation(content, changed).to_plan()
    np.testing.assert_array_equal(after.layers[name].rounded.weights, chosen)


def test_tensors_that_must_share_a_grid_learn_one_scale(separable_network, pictures):
    content, plan = planned(separable_network, pictures[:32])
    simulation = Simulation(content, plan)
    for variable in simulation.trainable:
        if len(variable.shape) == 0:
            variable.assign(3.0)
    after = simulation.to_plan()
    pooling = next(step for step in simulation.graph.steps if step.name == "MAX_POOL_2D")
    assert after.tensors[pooling.inputs[0]].grid == after.tensors[pooling.outputs[0]].grid
    moved = after.tensors[pooling.inputs[0]].grid
    before = plan.tensors[pooling.inputs[0]].grid
    assert moved.scale == pytest.approx(before.scale * np.exp(0.03), rel=1e-5)
    assert moved.zero_point == before.zero_point


def test_grids_that_kernels_dictate_are_not_learned(separable_network, pictures):
    content, plan = planned(separable_network, pictures[:32])
    simulation = Simulation(content, plan)
    for variable in simulation.trainable:
        if len(variable.shape) == 0:
            variable.assign(3.0)
    after = simulation.to_plan()
    assert after.tensors[plan.input].grid == plan.tensors[plan.input].grid
    assert after.tensors[simulation.graph.output].grid.scale == 1 / 256


def test_activations_of_16_bits_are_refused(separable_network, pictures):
    content, plan = planned(separable_network, pictures[:8], bits=16)
    with pytest.raises(InputError, match="16 bits"):
        Simulation(content, plan)


def test_weights_of_fewer_bits_stay_within_them(separable_network, pictures):
    content, plan = planned(separable_network, pictures[:8])
    layers = {
        name: layer
        if layer.rounded is None
        else dataclasses.replace(
            layer,
            rounded=Rounded(
                layer.rounded.weights // 19, layer.rounded.scales * 19, layer.rounded.bias, 4
            ),
        )
        for name, layer in plan.layers.items()
    }
    simulation = Simulation(content, dataclasses.replace(plan, layers=layers))
    for variable in simulation.trainable:
        variable.assign(variable * 3)
    for layer in simulation.to_plan().layers.values():
        if layer.rounded is not None:
            assert layer.rounded.bits == 4
            assert np.abs(layer.rounded.weights.astype(int)).max() <= 7
