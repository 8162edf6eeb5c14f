"""Augmentation as one Keras layer: one resampling for all that moves pixels, then the light.

It stands before the network in training only and is never part of a model's file.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import tensorflow as tf  # isort: skip - before keras, or the converter fails later
import keras

from edgecnn.training.recipe import Strength


@dataclasses.dataclass(frozen=True, kw_only=True)
class Amounts:
    """How far each change goes, drawn evenly from -amount..amount unless said.

    Attributes:
        shift: Share of the side.
        rotation: Degrees.
        zoom: Natural logarithm of the scale.
        stretch: Natural logarithm of the width's scale over the height's.
        brightness: Share of the full range 0..255.
        contrast: Natural logarithm of the factor around the photo's mean.
        saturation: Share by which colours move away from grey or towards it.
    """

    shift: float
    rotation: float
    zoom: float
    stretch: float
    brightness: float
    contrast: float
    saturation: float


AMOUNTS: dict[Strength, Amounts] = {
    "flip": Amounts(
        shift=0.0,
        rotation=0.0,
        zoom=0.0,
        stretch=0.0,
        brightness=0.0,
        contrast=0.0,
        saturation=0.0,
    ),
    "light": Amounts(
        shift=0.06,
        rotation=8.0,
        zoom=0.1,
        stretch=0.0,
        brightness=0.08,
        contrast=0.15,
        saturation=0.1,
    ),
    "strong": Amounts(
        shift=0.12,
        rotation=20.0,
        zoom=0.25,
        stretch=0.1,
        brightness=0.15,
        contrast=0.35,
        saturation=0.35,
    ),
}  # fmt: skip - one kind of change a line


class Augment(keras.layers.Layer):
    """Flip, shift, rotate, zoom, then change brightness, contrast and saturation.

    Args:
        strength: "flip" (nothing but that), "light" or "strong".
        flip: Mirror every second photo.
    """

    def __init__(self, strength: Strength, *, flip: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self.strength = strength
        self.flip = flip
        self._amounts = AMOUNTS[strength]

    def call(self, pixels: Any, seed: Any) -> Any:
        """Return changed pixels [N, H, W, C], float32, 0..255.

        Args:
            pixels: [N, H, W, C], 0..255, any numeric type.
            seed: [2] integers; the same seed makes the same changes.
        """
        draws = tf.random.stateless_uniform((tf.shape(pixels)[0], 9), seed, -1.0, 1.0)
        x = tf.cast(pixels, tf.float32)
        if self.strength == "flip":  # nothing to resample
            mirrored = (draws[:, 0] < 0) & self.flip
            return tf.where(mirrored[:, None, None, None], x[:, :, ::-1], x)
        return self._lit(self._moved(x, draws[:, :6]), draws[:, 6:])

    def _moved(self, x: Any, draws: Any) -> Any:
        amounts = self._amounts
        height, width = float(x.shape[1]), float(x.shape[2])
        mirrored, right, down, turn, zoom, stretch = tf.unstack(draws, axis=1)
        sign = tf.where(mirrored < 0, -1.0, 1.0) if self.flip else tf.ones_like(mirrored)
        angle = turn * math.radians(amounts.rotation)
        scale, ratio = tf.exp(zoom * amounts.zoom), tf.exp(stretch * amounts.stretch / 2)
        cos, sin = tf.cos(angle) * scale, tf.sin(angle) * scale
        # Output to input coordinates, about the centre, as ImageProjectiveTransformV3 has it.
        x_x, x_y = sign * cos * ratio, -sin / ratio
        y_x, y_y = sign * sin * ratio, cos / ratio
        centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
        x_0 = centre_x + right * amounts.shift * width - x_x * centre_x - x_y * centre_y
        y_0 = centre_y + down * amounts.shift * height - y_x * centre_x - y_y * centre_y
        zero = tf.zeros_like(x_x)
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=x,
            transforms=tf.stack([x_x, x_y, x_0, y_x, y_y, y_0, zero, zero], axis=1),
            output_shape=tf.shape(x)[1:3],
            interpolation="BILINEAR",
            fill_mode="REFLECT",
            fill_value=0.0,
        )

    def _lit(self, x: Any, draws: Any) -> Any:
        brightness, contrast, saturation = tf.unstack(draws[:, :, None, None, None], axis=1)
        mean = tf.reduce_mean(x, axis=(1, 2, 3), keepdims=True)
        factor = tf.exp(contrast * self._amounts.contrast)
        grey = tf.reduce_mean(x, axis=3, keepdims=True)
        x = grey + (x - grey) * (1.0 + saturation * self._amounts.saturation)
        x = mean + (x - mean) * factor + brightness * self._amounts.brightness * 255.0
        return tf.clip_by_value(x, 0.0, 255.0)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "strength": self.strength, "flip": self.flip}
