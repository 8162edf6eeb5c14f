"""Classifiers on inner layers, which only training knows: the loss comes in nearer to the stem."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers

LOSS_WEIGHT = 0.3
"""Share of each auxiliary loss, as its paper has it: arXiv:1409.4842, section 5."""

_CHANNELS, _UNITS, _DROPOUT = 128, 1024, 0.7


def with_auxiliary(
    body: keras.Model, taps: Sequence[str], classes: int, *, seed: int
) -> keras.Model:
    """Return a model that shares the body's layers and answers at some of them as well.

    Args:
        body: From photos to pooled features [N, F].
        taps: Its layers that get a classifier; none leaves it as it is.
        classes: Number of logits of each.
        seed: Of the classifiers' random weights: a run that is resumed draws the same.

    Returns:
        Photos to a list: pooled features, then logits [N, classes], one tensor a tap.
    """
    if not taps:
        return body
    answers = [
        _classifier(
            body.get_layer(tap).output, classes, seed=seed + index, name=f"auxiliary{index}"
        )
        for index, tap in enumerate(taps)
    ]
    return keras.Model(body.input, [body.output, *answers], name=body.name)


def _classifier(x: keras.KerasTensor, classes: int, *, seed: int, name: str) -> keras.KerasTensor:
    """Pool, mix channels, one dense layer, logits: arXiv:1409.4842, section 5."""
    random = keras.initializers.GlorotUniform(seed=seed)
    window = min(5, *x.shape[1:3])  # small photos have less to pool
    x = layers.AveragePooling2D(window, 3, name=f"{name}_pool")(x)
    x = layers.Conv2D(
        _CHANNELS, 1, activation="relu", kernel_initializer=random, name=f"{name}_conv"
    )(x)
    x = layers.Flatten(name=f"{name}_flatten")(x)
    x = layers.Dense(_UNITS, activation="relu", kernel_initializer=random, name=f"{name}_dense")(x)
    x = layers.Dropout(_DROPOUT, name=f"{name}_dropout")(x)
    return layers.Dense(classes, kernel_initializer=random, name=f"{name}_logits")(x)
