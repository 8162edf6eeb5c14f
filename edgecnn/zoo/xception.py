"""Xception: Chollet 2017, arXiv:1610.02357, figure 5; and a small one of half its widths.

Layers come in the order in which Keras's own weights file has them.
"""

from __future__ import annotations

import dataclasses

from keras import layers

from edgecnn.zoo.blocks import Activation, Tensor, activated


@dataclasses.dataclass(frozen=True)
class _Plan:
    """The figure's numbers: channels of each flow, and how often the middle repeats."""

    stem: tuple[int, int]
    entry: tuple[int, ...]
    middle: int
    exit: int
    last: tuple[int, int]
    activation: Activation
    padding: str


_XCEPTION = _Plan(
    stem=(32, 64),
    entry=(128, 256, 728),
    middle=8,
    exit=1024,
    last=(1536, 2048),
    activation="relu",
    padding="valid",
)
_SMALL = _Plan(
    stem=(16, 32),
    entry=(64, 128, 368),
    middle=3,
    exit=512,
    last=(768, 1024),
    activation="relu6",
    padding="same",
)


def xception(x: Tensor) -> Tensor:
    """[N, H, W, 3] in -1..1 to [N, H/32, W/32, 2048]."""
    return _xception(x, _XCEPTION)


def xception_small(x: Tensor) -> Tensor:
    """[N, H, W, 3] in -1..1 to [N, H/32, W/32, 1024]; ReLU6, whose range integers cover well."""
    return _xception(x, _SMALL)


def _xception(x: Tensor, plan: _Plan) -> Tensor:
    act = plan.activation
    for layer, channels in enumerate(plan.stem, start=1):
        x = _conv(x, channels, plan, stride=3 - layer, name=f"block1_conv{layer}")
    for block, channels in enumerate(plan.entry, start=2):
        # What the stem gives to the first of these is activated already.
        first = None if block == 2 else act
        x = _shrink(x, (channels, channels), (first, act), name=f"block{block}")
    exit_block = 5 + plan.middle
    for block in range(5, exit_block):
        y = x
        for layer in (1, 2, 3):
            y = _separable(y, x.shape[-1], before=act, name=f"block{block}_separable{layer}")
        x = layers.Add(name=f"block{block}_add")([y, x])
    x = _shrink(x, (x.shape[-1], plan.exit), (act, act), name=f"block{exit_block}")
    for layer, channels in enumerate(plan.last, start=1):
        name = f"block{exit_block + 1}_separable{layer}"
        x = activated(_separable(x, channels, before=None, name=name), act, name=name)
    return x


def _shrink(
    x: Tensor, channels: tuple[int, int], before: tuple[Activation, Activation], *, name: str
) -> Tensor:
    """Two separable convolutions and a pooling, bridged by a strided 1x1 convolution."""
    bridge = layers.Conv2D(
        channels[1], 1, 2, padding="same", use_bias=False, name=f"{name}_bridge_conv"
    )(x)
    bridge = layers.BatchNormalization(name=f"{name}_bridge_bn")(bridge)
    y = _separable(x, channels[0], before=before[0], name=f"{name}_separable1")
    y = _separable(y, channels[1], before=before[1], name=f"{name}_separable2")
    y = layers.MaxPooling2D(3, 2, padding="same", name=f"{name}_pool")(y)
    return layers.Add(name=f"{name}_add")([y, bridge])


def _conv(x: Tensor, channels: int, plan: _Plan, *, stride: int, name: str) -> Tensor:
    x = layers.Conv2D(
        channels, 3, stride, padding=plan.padding, use_bias=False, name=f"{name}_conv"
    )(x)
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return activated(x, plan.activation, name=name)


def _separable(x: Tensor, channels: int, *, before: Activation, name: str) -> Tensor:
    x = activated(x, before, name=name)
    x = layers.SeparableConv2D(channels, 3, padding="same", use_bias=False, name=f"{name}_conv")(x)
    return layers.BatchNormalization(name=f"{name}_bn")(x)
