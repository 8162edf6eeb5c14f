"""AlexNet and ZF Net: five convolutions, two wide dense layers, a thousand logits.

Sources: Krizhevsky et al. 2012, ImageNet Classification with Deep Convolutional Neural
Networks, section 3.5; Zeiler and Fergus 2013, arXiv:1311.2901, figure 3.
"""

from __future__ import annotations

from typing import TypeAlias

from keras import layers

from edgecnn.zoo.blocks import Tensor
from edgecnn.zoo.layers import LocalResponseNormalization

_Row: TypeAlias = tuple[int, int, int, int, bool, str | None]

# channels, kernel, stride, groups; normalized by its neighbours? padding of the pooling after it
_ALEXNET: tuple[_Row, ...] = (
    (96, 11, 4, 1, True, "valid"),
    (256, 5, 1, 2, True, "valid"),
    (384, 3, 1, 1, False, None),
    (384, 3, 1, 2, False, None),
    (256, 3, 1, 2, False, "valid"),
)
_ZFNET: tuple[_Row, ...] = (
    (96, 7, 2, 1, True, "same"),
    (256, 5, 2, 1, True, "same"),
    (384, 3, 1, 1, False, None),
    (384, 3, 1, 1, False, None),
    (256, 3, 1, 1, False, "valid"),
)


def alexnet(x: Tensor) -> Tensor:
    """[N, 227, 227, 3] to [N, 6, 6, 256]; two groups, as it ran on two graphics cards."""
    return _convolutions(x, _ALEXNET)


def zfnet(x: Tensor) -> Tensor:
    """[N, 225, 225, 3] to [N, 6, 6, 256]: its 224 pixels and the one of padding they need."""
    return _convolutions(x, _ZFNET)


def wide_head(x: Tensor, dropout: float) -> Tensor:
    """Two dense layers of 4,096 with dropout: nine tenths of the weights. VGG has them too."""
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(4096, activation="relu", name="fc1")(x)
    x = layers.Dropout(dropout, name="fc1_dropout")(x)
    return layers.Dense(4096, activation="relu", name="fc2")(x)


def _convolutions(x: Tensor, rows: tuple[_Row, ...]) -> Tensor:
    for block, (channels, kernel, stride, groups, is_normalized, pooling) in enumerate(rows):
        x = layers.Conv2D(
            channels,
            kernel,
            stride,
            padding="same" if stride == 1 else "valid",
            groups=groups,
            activation="relu",
            name=f"block{block}_conv",
        )(x)
        if is_normalized:
            x = LocalResponseNormalization(name=f"block{block}_norm")(x)
        if pooling:
            x = layers.MaxPooling2D(3, 2, padding=pooling, name=f"block{block}_pool")(x)
    return x
