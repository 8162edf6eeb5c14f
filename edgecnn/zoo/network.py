"""The calls that make a network of an architecture: a body, then a head on it."""

from __future__ import annotations

import keras
from keras import layers

from edgecnn.core.checkpoint import Padding
from edgecnn.core.errors import InputError
from edgecnn.core.normalization import Normalization
from edgecnn.zoo.padding import repadded
from edgecnn.zoo.registry import find

INPUT_LAYER = "image"
NORMALIZE_LAYER = "normalize"
DROPOUT_LAYER = "dropout"
LOGITS_LAYER = "logits"


def build(
    name: str,
    *,
    shape: tuple[int, int, int],
    alpha: float = 1.0,
    normalization: Normalization | None = None,
    padding: Padding = "same",
) -> keras.Model:
    """Make a body with random weights: pixels to features, one flat functional graph.

    Args:
        name: A key of `ARCHITECTURES`; the model's name.
        shape: Height, width and channels of the pixels, which are float32 0..255.
        alpha: Multiple of the paper's channels.
        normalization: Of the weights that will come in; None is the architecture's own.
        padding: Of the weights that will come in: torch's want "symmetric".

    Raises:
        InputError: no such architecture, or one that has no such size or alpha.
    """
    architecture = find(name)
    if min(shape[:2]) < architecture.min_size:
        raise InputError(
            f"an input of {shape[0]}x{shape[1]} pixels",
            where=name,
            fix=f"use --size {architecture.min_size} or more",
        )
    if not (0.1 <= alpha <= 2.0 if architecture.has_alpha else alpha == 1.0):
        fix = "use 0.1 to 2.0" if architecture.has_alpha else "it comes with --alpha 1.0 only"
        raise InputError(f"alpha {alpha}", where=name, fix=fix)
    image = keras.Input(shape, name=INPUT_LAYER)
    steps = (normalization or architecture.normalization).for_channels(shape[2])
    pixels = _normalize(steps)(image)
    body = keras.Model(image, architecture.body(pixels, alpha), name=name)
    return body if padding == "same" else repadded(body, padding)


def attach_head(body: keras.Model, classes: int, *, dropout: float = 0.2) -> keras.Model:
    """Put its architecture's classifier on a body; the new model shares the body's layers.

    Args:
        body: Made by `build`.
        classes: Two or more.
        dropout: Share of the head's inputs that a training step leaves out.

    Returns:
        [N, H, W, C] pixels 0..255 to [N, classes] probabilities, float32.

    Raises:
        InputError: fewer than two classes.
    """
    if classes < 2:
        raise InputError(f"{classes} classes", where=body.name, fix="a classifier needs two")
    x = find(body.name).head(body.output, dropout)
    x = layers.Dropout(dropout, name=DROPOUT_LAYER)(x)
    x = layers.Dense(classes, name=LOGITS_LAYER)(x)
    # float32 whatever the policy: probabilities of a thousand classes underflow in less.
    x = layers.Softmax(name="probabilities", dtype="float32")(x)
    return keras.Model(body.input, x, name=body.name)


def _normalize(normalization: Normalization) -> keras.Layer:
    # One number where it is the same for all channels: a grey photo has only one.
    if normalization.is_scalar:
        scale, offset = normalization.scale[0], normalization.offset[0]
        return layers.Rescaling(scale, offset, name=NORMALIZE_LAYER)
    return layers.Rescaling(
        list(normalization.scale), list(normalization.offset), name=NORMALIZE_LAYER
    )
