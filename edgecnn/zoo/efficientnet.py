"""EfficientNet-B0, and EfficientNet-Lite0 to 4.

Lite leaves out swish and squeeze-and-excitation, which integers do badly and some hardware
does slowly; its larger networks keep the stem, the features and the outer stages' depth.

Sources: Tan and Le 2019, arXiv:1905.11946, table 1; tensorflow/tpu, efficientnet/lite.
"""

from __future__ import annotations

import math

from edgecnn.zoo.blocks import Inverted, Squeeze, Tensor, channels_of, conv_bn, inverted_residual

# expansion, kernel, channels, repeats, first stride
_STAGES = (
    (1, 3, 16, 1, 1),
    (6, 3, 24, 2, 2),
    (6, 5, 40, 2, 2),
    (6, 3, 80, 3, 2),
    (6, 5, 112, 3, 1),
    (6, 5, 192, 4, 2),
    (6, 3, 320, 1, 1),
)


def efficientnet_lite0(x: Tensor) -> Tensor:
    """[N, H, W, 3] in about -1..1 to [N, H/32, W/32, 1280]."""
    return _efficientnet_lite(x, width=1.0, depth=1.0)


def efficientnet_lite1(x: Tensor) -> Tensor:
    """[N, H, W, 3] in about -1..1 to [N, H/32, W/32, 1280]."""
    return _efficientnet_lite(x, width=1.0, depth=1.1)


def efficientnet_lite2(x: Tensor) -> Tensor:
    """[N, H, W, 3] in about -1..1 to [N, H/32, W/32, 1280]."""
    return _efficientnet_lite(x, width=1.1, depth=1.2)


def efficientnet_lite3(x: Tensor) -> Tensor:
    """[N, H, W, 3] in about -1..1 to [N, H/32, W/32, 1280]."""
    return _efficientnet_lite(x, width=1.2, depth=1.4)


def efficientnet_lite4(x: Tensor) -> Tensor:
    """[N, H, W, 3] in about -1..1 to [N, H/32, W/32, 1280]."""
    return _efficientnet_lite(x, width=1.4, depth=1.8)


def efficientnet_b0(x: Tensor) -> Tensor:
    """[N, H, W, 3], each channel with mean 0 and deviation 1, to [N, H/32, W/32, 1280]."""
    x = conv_bn(x, 32, kernel=3, stride=2, activation="silu", name="stem")
    for stage, (expansion, kernel, channels, repeats, first_stride) in enumerate(_STAGES):
        for number in range(repeats):
            block = Inverted(
                channels=channels,
                expanded=expansion * x.shape[-1],
                kernel=kernel,
                stride=first_stride if number == 0 else 1,
                activation="silu",
                squeeze=Squeeze(x.shape[-1] // 4, activation="silu"),
            )
            x = inverted_residual(x, block, name=f"stage{stage}_block{number}")
    return conv_bn(x, 1280, activation="silu", name="features")


def _efficientnet_lite(x: Tensor, *, width: float, depth: float) -> Tensor:
    x = conv_bn(x, 32, kernel=3, stride=2, name="stem")
    for stage, (expansion, kernel, channels, repeats, first_stride) in enumerate(_STAGES):
        is_outer = stage in (0, len(_STAGES) - 1)
        for number in range(repeats if is_outer else math.ceil(repeats * depth)):
            block = Inverted(
                channels=channels_of(channels, width),
                expanded=expansion * x.shape[-1],
                kernel=kernel,
                stride=first_stride if number == 0 else 1,
            )
            x = inverted_residual(x, block, name=f"stage{stage}_block{number}")
    return conv_bn(x, 1280, name="features")
