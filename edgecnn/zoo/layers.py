"""Layers that courses teach and Keras has not.

All others of their kind are Keras's own: `Conv1D`, `Conv3D`, `Conv2D(dilation_rate=...)`,
`DepthwiseConv2D`, `SeparableConv2D`, `Conv2DTranspose`, `GlobalAveragePooling2D`.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf  # isort: skip - before keras, or the converter fails later
import keras

_PACKAGE = "edgecnn"


@keras.saving.register_keras_serializable(package=_PACKAGE)
class LocalResponseNormalization(keras.layers.Layer):
    """Divide each value by the strength of its neighbours in other channels, at its place.

    ``x / (offset + alpha * sum(neighbour ** 2)) ** beta``, over the channels from ``radius``
    below to ``radius`` above; [N, H, W, C] to the same shape. TFLite and ONNX know it.

    Args:
        radius: Channels on each side.
        offset: Keeps weak answers as they are.
        alpha: Weight of the neighbours.
        beta: How hard strong ones press on.
        options: `keras.layers.Layer`'s own, as its name.

    Source: Krizhevsky et al. 2012, ImageNet Classification with Deep Convolutional Neural
    Networks, section 3.3, whose constants are the defaults.
    """

    def __init__(
        self,
        radius: int = 2,
        *,
        offset: float = 2.0,
        alpha: float = 1e-4,
        beta: float = 0.75,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if radius < 0 or offset <= 0 or alpha < 0:
            raise ValueError(f"radius {radius}, offset {offset}, alpha {alpha} may divide by zero")
        self.radius, self.offset, self.alpha, self.beta = radius, offset, alpha, beta

    def call(self, inputs: Any) -> Any:
        """Return [N, H, W, C]."""
        return tf.nn.local_response_normalization(
            inputs, self.radius, self.offset, self.alpha, self.beta
        )

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the constants, for a copy."""
        own = {"radius": self.radius, "offset": self.offset, "alpha": self.alpha, "beta": self.beta}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package=_PACKAGE)
class DepthwiseMaxPooling(keras.layers.Layer):
    """Keep the largest of each group of neighbouring channels: [..., C] to [..., C / size].

    A network with filters of several turns or sizes side by side learns here not to care
    which of them answered.

    Args:
        size: Channels of a group; divides C.
        options: `keras.layers.Layer`'s own, as its name.

    Source: Geron 2019, Hands-On Machine Learning, chapter 14.
    """

    def __init__(self, size: int, **options: Any) -> None:
        super().__init__(**options)
        if size < 1:
            raise ValueError(f"groups of {size} channels")
        self.size = size

    def call(self, inputs: Any) -> Any:
        """Return [..., C / size]."""
        # Not TensorFlow's pooling over channels: neither TFLite nor ONNX has one.
        groups = (*keras.ops.shape(inputs)[:-1], inputs.shape[-1] // self.size, self.size)
        return keras.ops.max(keras.ops.reshape(inputs, groups), axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input's shape with fewer channels.

        Raises:
            ValueError: channels that don't make whole groups.
        """
        channels = input_shape[-1]
        if channels is None or channels % self.size:
            raise ValueError(f"{channels} channels in groups of {self.size}")
        return (*input_shape[:-1], channels // self.size)

    def get_config(self) -> dict[str, Any]:
        """Return the group's size, for a copy."""
        return {**super().get_config(), "size": self.size}
