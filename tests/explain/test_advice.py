"""What integers do badly is told from the float graph alone."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.tensorflow


def float_file(build: Any) -> bytes:
    import keras

    from edgecnn.convert import tflite
    from edgecnn.convert.frozen import freeze

    keras.utils.set_random_seed(1)
    image = keras.Input((16, 16, 3))
    return tflite.float32(freeze(keras.Model(image, build(image))))


def plain(x: Any) -> Any:
    from keras import layers

    return layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3, activation="relu6")(x))


def swish(x: Any) -> Any:
    from keras import layers

    return layers.Activation("swish")(layers.Conv2D(8, 3)(x))


def squeeze(x: Any) -> Any:
    from keras import layers

    x = layers.Conv2D(8, 3, activation="relu")(x)
    factor = layers.GlobalAveragePooling2D(keepdims=True)(x)
    return layers.Multiply()([x, layers.Conv2D(8, 1, activation="sigmoid")(factor)])


def hard_swish(x: Any) -> Any:
    from keras import layers

    x = layers.Activation("hard_swish")(layers.Conv2D(8, 3)(x))
    return layers.Activation("hard_swish")(layers.Conv2D(8, 3)(x))


def joined(x: Any) -> Any:
    from keras import layers

    parts = [layers.Conv2D(4, k, padding="same")(x) for k in (1, 3)]
    return layers.Concatenate()(parts)


def in_float(x: Any) -> Any:
    from edgecnn.zoo.layers import LocalResponseNormalization

    return LocalResponseNormalization(alpha=0.05)(x)


@pytest.mark.parametrize(
    ("build", "beginning"),
    [
        (swish, "swish (once)"),
        (squeeze, "squeeze-excitation (once)"),
        (hard_swish, "hard-swish (2 times)"),
        (joined, "concatenation (once)"),
        (in_float, "no integer kernel for LOCAL_RESPONSE_NORMALIZATION (once)"),
    ],
)
def test_a_construction_is_named_and_counted(build: Any, beginning: str) -> None:
    from edgecnn.explain.advice import advise

    (line,) = advise(float_file(build))
    assert line.startswith(beginning)


def test_a_plain_network_needs_no_advice() -> None:
    from edgecnn.explain.advice import advise

    assert advise(float_file(plain)) == ()
