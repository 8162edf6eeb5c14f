"""Building blocks that the families share. A block's name is the prefix of its layers' names."""

from __future__ import annotations

from typing import TypeAlias

import keras
from keras import layers

Tensor: TypeAlias = keras.KerasTensor


def channels_of(channels: int, alpha: float) -> int:
    """Scale a channel count and round it to a multiple of 8, never down by more than a tenth.

    Source: the rule of the MobileNets, Sandler et al. 2018, arXiv:1801.04381.
    """
    wanted = channels * alpha
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * wanted else rounded + 8


def pooled(x: Tensor, _dropout: float) -> Tensor:
    """Average each feature over the whole photo: the head of most networks since 2014."""
    return layers.GlobalAveragePooling2D(name="pool")(x)


def conv_bn(
    x: Tensor, channels: int, *, name: str, kernel: int = 1, stride: int = 1, relu: bool = True
) -> Tensor:
    """Convolve, normalize and, unless the layer is linear, clip to 0..6."""
    x = layers.Conv2D(
        channels, kernel, stride, padding="same", use_bias=False, name=f"{name}_conv"
    )(x)
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if relu else x


def depthwise_bn(x: Tensor, *, name: str, kernel: int = 3, stride: int = 1) -> Tensor:
    """Filter each channel by itself, normalize, clip to 0..6."""
    x = layers.DepthwiseConv2D(kernel, stride, padding="same", use_bias=False, name=f"{name}_conv")(
        x
    )
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x)


def separable_bn(x: Tensor, channels: int, *, name: str, stride: int = 1) -> Tensor:
    """Filter each channel, then mix the channels: MobileNetV1's block."""
    x = depthwise_bn(x, stride=stride, name=f"{name}_depthwise")
    return conv_bn(x, channels, name=f"{name}_pointwise")


def inverted_residual(
    x: Tensor, channels: int, *, name: str, expansion: int, kernel: int = 3, stride: int = 1
) -> Tensor:
    """Widen, filter each channel, narrow again; add the input where shapes agree.

    Source: Sandler et al. 2018, arXiv:1801.04381, figure 4.
    """
    y = x
    if expansion > 1:
        y = conv_bn(y, expansion * x.shape[-1], name=f"{name}_expand")
    y = depthwise_bn(y, kernel=kernel, stride=stride, name=f"{name}_depthwise")
    y = conv_bn(y, channels, relu=False, name=f"{name}_project")
    same_shape = stride == 1 and x.shape[-1] == channels
    return layers.Add(name=f"{name}_add")([x, y]) if same_shape else y
