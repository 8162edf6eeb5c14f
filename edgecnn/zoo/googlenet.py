"""GoogLeNet: Szegedy et al. 2014, arXiv:1409.4842, table 1; and with squeeze-excitation.

While it trains from random weights, `AUXILIARY` layers get a classifier of their own.
"""

from __future__ import annotations

from typing import TypeAlias

from keras import layers

from edgecnn.zoo.blocks import Tensor
from edgecnn.zoo.layers import LocalResponseNormalization
from edgecnn.zoo.senet import squeeze_excite

_Row: TypeAlias = tuple[int, int, int, int, int, int]

# channels of 1x1; of 1x1 before 3x3, of 3x3; of 1x1 before 5x5, of 5x5; of 1x1 after pooling
_STAGES: tuple[tuple[_Row, ...], ...] = (
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)

AUXILIARY = ("stage4_block0_concat", "stage4_block3_concat")


def googlenet(x: Tensor) -> Tensor:
    """[N, H, W, 3] to [N, H/32, W/32, 1024]."""
    x = _stem(x)
    for stage, rows in enumerate(_STAGES, start=3):
        x = layers.MaxPooling2D(3, 2, padding="same", name=f"stage{stage}_pool")(x)
        for block, row in enumerate(rows):
            x = _inception(x, row, f"stage{stage}_block{block}")
    return x


def se_inception(x: Tensor) -> Tensor:
    """GoogLeNet, each module's channels weighted: arXiv:1709.01507, figure 2."""
    x = _stem(x)
    for stage, rows in enumerate(_STAGES, start=3):
        x = layers.MaxPooling2D(3, 2, padding="same", name=f"stage{stage}_pool")(x)
        for block, row in enumerate(rows):
            name = f"stage{stage}_block{block}"
            x = squeeze_excite(_inception(x, row, name), name=name)
    return x


def _stem(x: Tensor) -> Tensor:
    """[N, H, W, 3] to [N, H/4, W/4, 192]."""
    x = _conv(x, 64, 7, stride=2, name="stem_first")
    x = layers.MaxPooling2D(3, 2, padding="same", name="stem_pool")(x)
    x = LocalResponseNormalization(name="stem_first_norm")(x)
    x = _conv(x, 64, 1, name="stem_second")
    x = _conv(x, 192, 3, name="stem_third")
    return LocalResponseNormalization(name="stem_third_norm")(x)


def _inception(x: Tensor, channels: _Row, name: str) -> Tensor:
    """Four ways side by side: figure 2b."""
    one, before_three, three, before_five, five, pool = channels
    pooled = layers.MaxPooling2D(3, 1, padding="same", name=f"{name}_pool")(x)
    ways = [
        _conv(x, one, 1, name=f"{name}_one"),
        _conv(
            _conv(x, before_three, 1, name=f"{name}_three_narrow"), three, 3, name=f"{name}_three"
        ),
        _conv(_conv(x, before_five, 1, name=f"{name}_five_narrow"), five, 5, name=f"{name}_five"),
        _conv(pooled, pool, 1, name=f"{name}_pooled"),
    ]
    return layers.Concatenate(name=f"{name}_concat")(ways)


def _conv(x: Tensor, channels: int, kernel: int, *, name: str, stride: int = 1) -> Tensor:
    return layers.Conv2D(
        channels, kernel, stride, padding="same", activation="relu", name=f"{name}_conv"
    )(x)
