"""The layers of a phase that learn, and what they compute from photos or cached features."""

from __future__ import annotations

from typing import Any

import tensorflow as tf  # isort: skip - before keras, or the converter fails later
import keras

from edgecnn.training.work import Array

# Keras's 0.99 needs some 500 steps to forget its beginning; few photos don't give as many.
_MOMENTUM = 0.9


class Network:
    """Layers that learn, then the classifier.

    Args:
        body: From the phase's inputs to pooled features [N, F], or to these and the logits of
            auxiliary classifiers; None where the inputs are pooled features already.
        classifier: From pooled features to logits.
        dropout: Share of pooled features that a training step leaves out.
        learn_statistics: Batch norm follows the batches, as from-scratch training needs;
            else it stays in inference mode: few photos would spoil what it knows.
    """

    def __init__(
        self,
        body: keras.Model | None,
        classifier: keras.layers.Layer,
        *,
        dropout: float,
        learn_statistics: bool = False,
    ) -> None:
        self._body = body
        self._classifier = classifier
        self._dropout = dropout
        self._learn_statistics = learn_statistics
        layers = [classifier] if body is None else [body, classifier]
        self.trainable: list[Any] = [v for layer in layers for v in layer.trainable_variables]
        inner = layers[0].layers if learn_statistics and body is not None else []
        for layer in inner:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = _MOMENTUM
        self._dropouts = [layer for layer in inner if isinstance(layer, keras.layers.Dropout)]
        self.weights: list[Any] = [v for layer in layers for v in layer.weights]

    @property
    def classes(self) -> int:
        """Number of logits."""
        return int(self._classifier.units)

    def answer(self, inputs: Any) -> Any:
        """Return logits [N, classes] in inference mode."""
        features, *_ = self._features(inputs, training=False)
        return self._classifier(features)

    def learn(self, inputs: Any, seed: Any) -> list[Any]:
        """Return logits [N, classes] in training mode, the auxiliary ones after the network's.

        The seed [2] decides the dropout.
        """
        for place, layer in enumerate(self._dropouts):
            state = tf.cast(seed, layer.seed_generator.state.dtype) + place
            layer.seed_generator.state.assign(state)
        features, *auxiliary = self._features(inputs, training=self._learn_statistics)
        if self._dropout:
            features = tf.nn.experimental.stateless_dropout(features, self._dropout, seed)
        return [self._classifier(features), *auxiliary]

    def _features(self, inputs: Any, *, training: bool) -> list[Any]:
        """Return pooled features, then the logits of auxiliary classifiers."""
        x = tf.cast(inputs, tf.float32)
        outputs = x if self._body is None else self._body(x, training=training)
        # A body in half precision answers in it; the loss does not.
        return [
            tf.cast(y, tf.float32) for y in (outputs if isinstance(outputs, list) else [outputs])
        ]

    def values(self) -> list[Array]:
        """Return a copy of all weights."""
        return [weight.numpy() for weight in self.weights]

    def assign(self, values: list[Array]) -> None:
        """Set all weights."""
        for weight, value in zip(self.weights, values, strict=True):
            weight.assign(value)
