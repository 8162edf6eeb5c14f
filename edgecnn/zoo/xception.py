"""Xception: Chollet 2017, arXiv:1610.02357, figure 5.

Layers come in the order in which Keras's own weights file has them.
"""

from __future__ import annotations

from keras import layers

from edgecnn.zoo.blocks import Tensor

# channels of the two separable convolutions of each shrinking block; does a ReLU come first?
_ENTRY = ((2, 128, 128, False), (3, 256, 256, True), (4, 728, 728, True))
_MIDDLE = range(5, 13)
_EXIT = (13, 728, 1024, True)
_LAST = (1536, 2048)


def xception(x: Tensor) -> Tensor:
    """[N, H, W, 3] in -1..1 to [N, H/32, W/32, 2048]."""
    x = _conv(x, 32, stride=2, name="block1_conv1")
    x = _conv(x, 64, stride=1, name="block1_conv2")
    for block, first, second, relu in _ENTRY:
        x = _shrink(x, (first, second), relu=relu, name=f"block{block}")
    for block in _MIDDLE:
        y = x
        for layer in (1, 2, 3):
            y = _relu(y, f"block{block}_separable{layer}")
            y = _separable(y, 728, f"block{block}_separable{layer}")
        x = layers.Add(name=f"block{block}_add")([y, x])
    block, first, second, relu = _EXIT
    x = _shrink(x, (first, second), relu=relu, name=f"block{block}")
    for layer, channels in enumerate(_LAST, start=1):
        x = _separable(x, channels, f"block14_separable{layer}")
        x = layers.ReLU(name=f"block14_separable{layer}_relu")(x)
    return x


def _shrink(x: Tensor, channels: tuple[int, int], *, relu: bool, name: str) -> Tensor:
    """Two separable convolutions and a pooling, bridged by a strided 1x1 convolution."""
    bridge = layers.Conv2D(
        channels[1], 1, 2, padding="same", use_bias=False, name=f"{name}_bridge_conv"
    )(x)
    bridge = layers.BatchNormalization(name=f"{name}_bridge_bn")(bridge)
    y = _relu(x, f"{name}_separable1") if relu else x
    y = _separable(y, channels[0], f"{name}_separable1")
    y = _separable(_relu(y, f"{name}_separable2"), channels[1], f"{name}_separable2")
    y = layers.MaxPooling2D(3, 2, padding="same", name=f"{name}_pool")(y)
    return layers.Add(name=f"{name}_add")([y, bridge])


def _conv(x: Tensor, channels: int, *, stride: int, name: str) -> Tensor:
    x = layers.Conv2D(channels, 3, stride, use_bias=False, name=f"{name}_conv")(x)
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def _separable(x: Tensor, channels: int, name: str) -> Tensor:
    x = layers.SeparableConv2D(channels, 3, padding="same", use_bias=False, name=f"{name}_conv")(x)
    return layers.BatchNormalization(name=f"{name}_bn")(x)


def _relu(x: Tensor, name: str) -> Tensor:
    return layers.ReLU(name=f"{name}_relu")(x)
