"""Building blocks that the families share. A block's name is the prefix of its layers' names."""

from __future__ import annotations

import dataclasses
from typing import Literal, TypeAlias

import keras
from keras import layers

Tensor: TypeAlias = keras.KerasTensor
Activation: TypeAlias = Literal["relu6", "relu", "hard_silu", "silu"] | None
"""What follows a batch norm; None in a linear layer. The last two are h-swish and swish."""


@dataclasses.dataclass(frozen=True)
class Squeeze:
    """Squeeze-and-excitation: how many channels it squeezes to, and its two functions.

    Source: Hu et al. 2018, arXiv:1709.01507, figure 3.
    """

    channels: int
    activation: Activation = "relu"
    gate: Literal["sigmoid", "hard_sigmoid"] = "sigmoid"


@dataclasses.dataclass(frozen=True)
class Inverted:
    """One inverted residual block: a row of a family's table.

    Attributes:
        channels: Of the output.
        expanded: Channels in between; where the input has as many, nothing expands it.
        kernel: Side of the depthwise kernel.
        stride: Of the depthwise convolution.
        activation: After every layer but the last, which is linear.
        squeeze: Squeeze-and-excitation of the expanded channels.
    """

    channels: int
    expanded: int
    kernel: int = 3
    stride: int = 1
    activation: Activation = "relu6"
    squeeze: Squeeze | None = None


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


def activated(x: Tensor, activation: Activation, *, name: str) -> Tensor:
    """Apply an activation function as a layer of its own, which every converter knows."""
    match activation:
        case None:
            return x
        case "relu6":
            return layers.ReLU(6.0, name=f"{name}_relu")(x)
        case "relu":
            return layers.ReLU(name=f"{name}_relu")(x)
    return layers.Activation(activation, name=f"{name}_{activation}")(x)


def conv_bn(
    x: Tensor,
    channels: int,
    *,
    name: str,
    kernel: int = 1,
    stride: int = 1,
    activation: Activation = "relu6",
) -> Tensor:
    """Convolve, normalize and, unless the layer is linear, activate."""
    x = layers.Conv2D(
        channels, kernel, stride, padding="same", use_bias=False, name=f"{name}_conv"
    )(x)
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return activated(x, activation, name=name)


def depthwise_bn(
    x: Tensor, *, name: str, kernel: int = 3, stride: int = 1, activation: Activation = "relu6"
) -> Tensor:
    """Filter each channel by itself, normalize and, unless the layer is linear, activate."""
    x = layers.DepthwiseConv2D(kernel, stride, padding="same", use_bias=False, name=f"{name}_conv")(
        x
    )
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return activated(x, activation, name=name)


def separable_bn(
    x: Tensor, channels: int, *, name: str, stride: int = 1, activation: Activation = "relu6"
) -> Tensor:
    """Filter each channel, then mix the channels: MobileNetV1's block."""
    x = depthwise_bn(x, stride=stride, activation=activation, name=f"{name}_depthwise")
    return conv_bn(x, channels, activation=activation, name=f"{name}_pointwise")


def squeeze_excite(x: Tensor, squeeze: Squeeze, *, name: str) -> Tensor:
    """Weigh each channel by what all channels average to over the whole photo."""
    y = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze_pool")(x)
    y = layers.Conv2D(squeeze.channels, 1, name=f"{name}_squeeze_conv")(y)
    y = activated(y, squeeze.activation, name=f"{name}_squeeze")
    y = layers.Conv2D(x.shape[-1], 1, name=f"{name}_excite_conv")(y)
    y = layers.Activation(squeeze.gate, name=f"{name}_excite_{squeeze.gate}")(y)
    return layers.Multiply(name=f"{name}_excite")([x, y])


def inverted_residual(x: Tensor, block: Inverted, *, name: str) -> Tensor:
    """Widen, filter each channel, narrow again; add the input where shapes agree.

    Source: Sandler et al. 2018, arXiv:1801.04381, figure 4; with squeeze-and-excitation,
    Howard et al. 2019, arXiv:1905.02244, figure 4.
    """
    y = x
    if block.expanded != x.shape[-1]:
        y = conv_bn(y, block.expanded, activation=block.activation, name=f"{name}_expand")
    y = depthwise_bn(
        y,
        kernel=block.kernel,
        stride=block.stride,
        activation=block.activation,
        name=f"{name}_depthwise",
    )
    if block.squeeze:
        y = squeeze_excite(y, block.squeeze, name=name)
    y = conv_bn(y, block.channels, activation=None, name=f"{name}_project")
    return bridged(x, y, stride=block.stride, name=name)


def bridged(x: Tensor, y: Tensor, *, stride: int, name: str) -> Tensor:
    """Add a block's input to its output where their shapes agree, whatever the photo's size."""
    same_shape = stride == 1 and x.shape[-1] == y.shape[-1]
    return layers.Add(name=f"{name}_add")([x, y]) if same_shape else y
