"""MobileNetV4, its networks of convolutions alone: Qin et al. 2024, arXiv:2404.10518.

The tables are those of the authors' published networks (tensorflow/models,
official/vision/modeling/backbones/mobilenet.py), as timm 1.0.31 has them.
"""

from __future__ import annotations

from typing import TypeAlias

from keras import layers

from edgecnn.zoo.blocks import Activation, Tensor, bridged, conv_bn, depthwise_bn

_Convolution: TypeAlias = tuple[int, int, int, Activation]
_Block: TypeAlias = tuple[int, int, int, int, int]

# kernel, stride, channels, activation
_SMALL_START: tuple[_Convolution, ...] = (
    (3, 2, 32, "relu"),
    (3, 2, 32, "relu"),
    (1, 1, 32, "relu"),
    (3, 2, 96, "relu"),
    (1, 1, 64, "relu"),
)
# The last two are a fused inverted bottleneck.
_MEDIUM_START: tuple[_Convolution, ...] = (
    (3, 2, 32, "relu"),
    (3, 2, 128, "relu"),
    (1, 1, 48, None),
)

# first kernel, second kernel (0: none), stride, expansion, channels
_SMALL: tuple[_Block, ...] = (
    (5, 5, 2, 3, 96),
    (0, 3, 1, 2, 96),
    (0, 3, 1, 2, 96),
    (0, 3, 1, 2, 96),
    (0, 3, 1, 2, 96),
    (3, 0, 1, 4, 96),
    (3, 3, 2, 6, 128),
    (5, 5, 1, 4, 128),
    (0, 5, 1, 4, 128),
    (0, 5, 1, 3, 128),
    (0, 3, 1, 4, 128),
    (0, 3, 1, 4, 128),
)
_MEDIUM: tuple[_Block, ...] = (
    (3, 5, 2, 4, 80),
    (3, 3, 1, 2, 80),
    (3, 5, 2, 6, 160),
    (3, 3, 1, 4, 160),
    (3, 3, 1, 4, 160),
    (3, 5, 1, 4, 160),
    (3, 3, 1, 4, 160),
    (3, 0, 1, 4, 160),
    (0, 0, 1, 2, 160),
    (3, 0, 1, 4, 160),
    (5, 5, 2, 6, 256),
    (5, 5, 1, 4, 256),
    (3, 5, 1, 4, 256),
    (3, 5, 1, 4, 256),
    (0, 0, 1, 4, 256),
    (3, 0, 1, 4, 256),
    (3, 5, 1, 2, 256),
    (5, 5, 1, 4, 256),
    (0, 0, 1, 4, 256),
    (0, 0, 1, 4, 256),
    (5, 0, 1, 2, 256),
)


def mobilenet_v4_conv_small(x: Tensor) -> Tensor:
    """[N, H, W, 3] in -1..1 to [N, H/32, W/32, 960]."""
    return _mobilenet_v4(x, _SMALL_START, _SMALL)


def mobilenet_v4_conv_medium(x: Tensor) -> Tensor:
    """[N, H, W, 3] in -1..1 to [N, H/32, W/32, 960]."""
    return _mobilenet_v4(x, _MEDIUM_START, _MEDIUM)


def mobilenet_v4_head(x: Tensor, _dropout: float) -> Tensor:
    """Pool, then widen the vector: cheaper than widening at each place."""
    x = layers.GlobalAveragePooling2D(keepdims=True, name="pool")(x)
    x = conv_bn(x, 1280, activation="relu", name="head")
    return layers.Flatten(name="flatten")(x)


def _mobilenet_v4(x: Tensor, start: tuple[_Convolution, ...], blocks: tuple[_Block, ...]) -> Tensor:
    for number, (kernel, stride, channels, activation) in enumerate(start):
        name = f"stem{number}"
        x = conv_bn(x, channels, kernel=kernel, stride=stride, activation=activation, name=name)
    for number, block in enumerate(blocks):
        x = _universal_inverted_bottleneck(x, block, name=f"block{number}")
    return conv_bn(x, 960, activation="relu", name="features")


def _universal_inverted_bottleneck(x: Tensor, block: _Block, *, name: str) -> Tensor:
    """An inverted residual with a depthwise convolution before, amid, at both places or none.

    Source: arXiv:2404.10518, figure 4.
    """
    first, second, stride, expansion, channels = block
    y = x
    if first:
        # The last of the depthwise convolutions is the one that strides.
        first_stride = 1 if second else stride
        y = depthwise_bn(
            y, kernel=first, stride=first_stride, activation=None, name=f"{name}_start"
        )
    y = conv_bn(y, expansion * x.shape[-1], activation="relu", name=f"{name}_expand")
    if second:
        y = depthwise_bn(
            y, kernel=second, stride=stride, activation="relu", name=f"{name}_depthwise"
        )
    y = conv_bn(y, channels, activation=None, name=f"{name}_project")
    return bridged(x, y, stride=stride, name=name)
