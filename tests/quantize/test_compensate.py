"""The pass over the layers: nearer to the float network than rounding to the nearest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgecnn.core.normalization import same_for_all
from edgecnn.quantize.grid import input_grid

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

NORMALIZATION = same_for_all(1 / 127.5, -1.0)


def float_file(model: Any) -> bytes:
    from edgecnn.convert import tflite
    from edgecnn.convert.fold import fold_batch_norm
    from edgecnn.convert.frozen import freeze

    return tflite.float32(freeze(fold_batch_norm(model)))


def planned(content: bytes, inputs: list[Any]) -> Any:
    from edgecnn.quantize import tflite
    from edgecnn.quantize.planning import make_plan

    grid, shift = input_grid(NORMALIZATION)
    seen = tflite.observe(content, inputs).tensors
    return make_plan(content, seen, input_grid=grid, input_shift=shift)


def answers(content: bytes, inputs: list[Any]) -> np.ndarray:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    entry, leave = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    outputs = []
    for value in inputs:
        interpreter.set_tensor(entry["index"], value)
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(leave["index"])[0])
    return np.stack(outputs)


def residual(x: Any) -> Any:
    from keras import layers

    y = layers.DepthwiseConv2D(3, padding="same", activation="relu6")(x)
    x = layers.Add()([x, layers.Conv2D(16, 1)(y)])
    return layers.ReLU()(layers.Add()([layers.Conv2D(16, 3, padding="same")(x), x]))


def gated(x: Any) -> Any:
    """Swish, then squeeze-excite."""
    from keras import layers

    x = layers.Activation("swish")(layers.Conv2D(24, 1)(x))
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Conv2D(6, 1, activation="relu")(gate)
    gate = layers.Conv2D(24, 1, activation="sigmoid")(gate)
    return layers.Conv2D(16, 1)(layers.Multiply()([x, gate]))


def concatenation(x: Any) -> Any:
    from keras import layers

    parts = [layers.Conv2D(8, k, padding="same", activation="relu")(x) for k in (1, 3, 5)]
    return layers.Concatenate()([*parts, layers.MaxPooling2D(3, 1, "same")(x)])


def shared_layer(x: Any) -> Any:
    from keras import layers

    twice = layers.Conv2D(16, 3, padding="same", activation="relu")
    return twice(twice(x))


def groups_and_multipliers(x: Any) -> Any:
    from keras import layers

    x = layers.Conv2D(16, 3, padding="same", groups=4, activation="relu")(x)
    return layers.DepthwiseConv2D(3, 2, "same", depth_multiplier=2, activation="relu")(x)


def transposed(x: Any) -> Any:
    from keras import layers

    return layers.Conv2DTranspose(8, 3, 2, "same", activation="relu")(x)


def network(middle: Any) -> Any:
    """A small network around a construction, with random, lively biases."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(7)
    image = keras.Input((24, 24, 3))
    x = middle(layers.Conv2D(16, 3, 2, "same", activation="relu6")(image))
    x = layers.Dense(10)(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, x)
    random = np.random.default_rng(1)
    for weight in model.weights:
        if len(weight.shape) == 1:
            weight.assign(weight + random.normal(0, 0.2, weight.shape))
    return model


def separable(x: Any) -> Any:
    """Deep enough for errors to add up."""
    from keras import layers

    for _ in range(8):
        x = layers.DepthwiseConv2D(3, padding="same", activation="relu6")(x)
        x = layers.Conv2D(24, 1, activation="relu6")(x)
    return x


def errors(kind: Any, pictures: Any) -> tuple[float, float]:
    """Mean squared errors of the file on other pictures: nearest, compensated."""
    from edgecnn.quantize import tflite
    from edgecnn.quantize.compensate import compensate

    inputs = [NORMALIZATION.apply(picture[None, :24, :24]) for picture in pictures]
    learning, judging = inputs[::2], inputs[1::2]
    content = float_file(network(kind))
    nearest = planned(content, learning)
    expected = answers(content, judging)
    plans = (nearest, compensate(content, nearest, lambda: iter(learning)))
    files = [tflite.quantize(content, plan, io="float32").content for plan in plans]
    first, second = (float(np.mean((answers(f, judging) - expected) ** 2)) for f in files)
    return first, second


KINDS = [residual, gated, concatenation, shared_layer, groups_and_multipliers, separable]


@pytest.mark.parametrize("kind", KINDS)
def test_any_construction_answers_as_near_to_the_float_network(kind: Any, pictures: Any) -> None:
    nearest, compensated = errors(kind, pictures)
    # A shallow network's error is that of its output's grid, which no rounding changes.
    assert compensated < 1.1 * nearest


def test_where_errors_add_up_they_become_smaller(pictures: Any) -> None:
    nearest, compensated = errors(separable, pictures)
    assert compensated < 0.9 * nearest


def test_a_layer_that_it_cannot_round_keeps_the_nearest_integers(pictures: Any) -> None:
    from edgecnn.quantize.compensate import compensate

    inputs = [NORMALIZATION.apply(picture[None, :24, :24]) for picture in pictures[:8]]
    content = float_file(network(transposed))
    made = compensate(content, planned(content, inputs), lambda: iter(inputs))
    kinds = {layer.operation: layer.rounding for layer in made.layers.values() if layer.rounded}
    assert kinds == {
        "CONV_2D": "compensated",
        "TRANSPOSE_CONV": "nearest",
        "FULLY_CONNECTED": "compensated",
    }


def test_the_same_photos_give_the_same_plan(pictures: Any) -> None:
    from edgecnn.quantize.compensate import compensate

    inputs = [NORMALIZATION.apply(picture[None, :24, :24]) for picture in pictures[:8]]
    content = float_file(network(residual))
    plans = [compensate(content, planned(content, inputs), lambda: iter(inputs)) for _ in range(2)]
    assert plans[0].to_json() == plans[1].to_json()


def test_a_layer_that_stays_in_float_keeps_its_weights(pictures: Any) -> None:
    import dataclasses

    from edgecnn.quantize.compensate import compensate

    inputs = [NORMALIZATION.apply(picture[None, :24, :24]) for picture in pictures[:8]]
    content = float_file(network(residual))
    plan = planned(content, inputs)
    first = next(iter(plan.layers))
    kept = dataclasses.replace(plan.layers[first], precision="float32", rounded=None)
    plan = dataclasses.replace(plan, layers={**plan.layers, first: kept})
    made = compensate(content, plan, lambda: iter(inputs))
    assert made.layers[first].rounded is None
    assert all(
        layer.rounding == "compensated"
        for name, layer in made.layers.items()
        if layer.rounded is not None and name != first
    )
