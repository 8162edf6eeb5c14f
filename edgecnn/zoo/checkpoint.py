"""A Checkpoint's network, rebuilt from its card; and a `Runner` over it."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from edgecnn.core.checkpoint import Checkpoint
from edgecnn.core.image import Pixels, Preprocessing
from edgecnn.core.runner import Scores
from edgecnn.zoo.network import attach_head, build
from edgecnn.zoo.weights import assign


def save_model(model: keras.Model, path: Path) -> None:
    """Write a model as one ``.keras`` file."""
    model.save(path)


def restore(checkpoint: Checkpoint) -> keras.Model:
    """Build the network that the card names, and fill it with the weights of ``model.keras``.

    The file's own description of the network is not read: it may hold code.

    Raises:
        InputError: an architecture that is not known here, or weights that are damaged or
            another network's.
    """
    card = checkpoint.card
    body = build(
        card.arch,
        shape=card.preprocessing.shape,
        alpha=card.alpha,
        normalization=card.normalization,
        padding=card.padding,
    )
    model = attach_head(body, len(card.classes))
    assign(model, checkpoint.model_path)
    return model


class CheckpointRunner:
    """A Checkpoint as a `Runner`; satisfies `edgecnn.core.runner.Runner`."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.classes: tuple[str, ...] = checkpoint.card.classes
        self.preprocessing: Preprocessing = checkpoint.card.preprocessing
        model = restore(checkpoint)

        def infer(pixels: tf.Tensor) -> tf.Tensor:
            return model(tf.cast(pixels, tf.float32), training=False)

        signature = tf.TensorSpec((None, *self.preprocessing.shape), tf.uint8)
        self._infer = tf.function(infer, input_signature=[signature])

    def run(self, batch: Pixels) -> Scores:
        """Return probabilities [N, classes], float32, for pixels [N, H, W, C], uint8."""
        return np.asarray(self._infer(batch), np.float32)
