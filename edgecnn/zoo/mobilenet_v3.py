"""MobileNetV3: Howard et al. 2019, arXiv:1905.02244.

The minimalistic networks are tensorflow/models' (research/slim/nets/mobilenet): the same
tables without squeeze-and-excitation, h-swish and 5x5 kernels, for hardware that is slow
at these and for integers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from keras import layers

from edgecnn.zoo.blocks import (
    Activation,
    Inverted,
    Squeeze,
    Tensor,
    activated,
    channels_of,
    conv_bn,
    inverted_residual,
)

_Row: TypeAlias = tuple[int, int, int, int, bool, Activation]

_STEM = 16

# expanded, channels, kernel, stride, squeeze-and-excitation, activation: table 2
_SMALL: tuple[_Row, ...] = (
    (16, 16, 3, 2, True, "relu"),
    (72, 24, 3, 2, False, "relu"),
    (88, 24, 3, 1, False, "relu"),
    (96, 40, 5, 2, True, "hard_silu"),
    (240, 40, 5, 1, True, "hard_silu"),
    (240, 40, 5, 1, True, "hard_silu"),
    (120, 48, 5, 1, True, "hard_silu"),
    (144, 48, 5, 1, True, "hard_silu"),
    (288, 96, 5, 2, True, "hard_silu"),
    (576, 96, 5, 1, True, "hard_silu"),
    (576, 96, 5, 1, True, "hard_silu"),
)

# table 1
_LARGE: tuple[_Row, ...] = (
    (16, 16, 3, 1, False, "relu"),
    (64, 24, 3, 2, False, "relu"),
    (72, 24, 3, 1, False, "relu"),
    (72, 40, 5, 2, True, "relu"),
    (120, 40, 5, 1, True, "relu"),
    (120, 40, 5, 1, True, "relu"),
    (240, 80, 3, 2, False, "hard_silu"),
    (200, 80, 3, 1, False, "hard_silu"),
    (184, 80, 3, 1, False, "hard_silu"),
    (184, 80, 3, 1, False, "hard_silu"),
    (480, 112, 3, 1, True, "hard_silu"),
    (672, 112, 3, 1, True, "hard_silu"),
    (672, 160, 5, 2, True, "hard_silu"),
    (960, 160, 5, 1, True, "hard_silu"),
    (960, 160, 5, 1, True, "hard_silu"),
)


def mobilenet_v3_small(x: Tensor, alpha: float) -> Tensor:
    """[N, H, W, 3] in -1..1 to [N, H/32, W/32, 576 * alpha]."""
    return _mobilenet_v3(x, _SMALL, alpha, "hard_silu")


def mobilenet_v3_large(x: Tensor, alpha: float) -> Tensor:
    """[N, H, W, 3] in -1..1 to [N, H/32, W/32, 960 * alpha]."""
    return _mobilenet_v3(x, _LARGE, alpha, "hard_silu")


def mobilenet_v3_small_minimalistic(x: Tensor, alpha: float) -> Tensor:
    """[N, H, W, 3] in -1..1 to [N, H/32, W/32, 576 * alpha]; 3x3 kernels and ReLU only."""
    return _mobilenet_v3(x, _minimalistic(_SMALL), alpha, "relu")


def mobilenet_v3_large_minimalistic(x: Tensor, alpha: float) -> Tensor:
    """[N, H, W, 3] in -1..1 to [N, H/32, W/32, 960 * alpha]; 3x3 kernels and ReLU only."""
    return _mobilenet_v3(x, _minimalistic(_LARGE), alpha, "relu")


def widening_head(
    channels: int, *, features: int, activation: Activation
) -> Callable[[Tensor, float], Tensor]:
    """Return a head that pools, then widens the vector: cheaper than doing it at each place.

    Args:
        channels: Of the vector.
        features: Of the body at alpha 1; a wider body gets a wider vector.
        activation: Of the vector.
    """

    def head(x: Tensor, _dropout: float) -> Tensor:
        width = channels_of(channels, max(1.0, x.shape[-1] / features))
        x = layers.GlobalAveragePooling2D(keepdims=True, name="pool")(x)
        x = layers.Conv2D(width, 1, name="head_conv")(x)
        x = activated(x, activation, name="head")
        return layers.Flatten(name="flatten")(x)

    return head


def _mobilenet_v3(
    x: Tensor, rows: tuple[_Row, ...], alpha: float, activation: Activation
) -> Tensor:
    x = conv_bn(x, _STEM, kernel=3, stride=2, activation=activation, name="stem")
    before = _STEM
    for number, (expanded, channels, kernel, stride, squeezes, inner) in enumerate(rows):
        # The paper's tables are for alpha 1: what scales with the input is the expansion.
        wide = channels_of(x.shape[-1], expanded / before)
        squeeze = Squeeze(channels_of(wide, 0.25), gate="hard_sigmoid") if squeezes else None
        block = Inverted(channels_of(channels, alpha), wide, kernel, stride, inner, squeeze)
        x = inverted_residual(x, block, name=f"block{number}")
        before = channels
    return conv_bn(x, channels_of(x.shape[-1], 6.0), activation=activation, name="features")


def _minimalistic(rows: tuple[_Row, ...]) -> tuple[_Row, ...]:
    return tuple(
        (wide, channels, 3, stride, False, "relu") for wide, channels, _, stride, *_ in rows
    )
