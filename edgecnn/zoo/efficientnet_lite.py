"""EfficientNet-Lite: EfficientNet without swish and squeeze-excitation, made for int8.

Source: Tan and Le 2019, arXiv:1905.11946, table 1; tensorflow/tpu, efficientnet/lite.
"""

from __future__ import annotations

import math

from edgecnn.zoo.blocks import Tensor, channels_of, conv_bn, inverted_residual

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


def _efficientnet_lite(x: Tensor, *, width: float, depth: float) -> Tensor:
    # The Lite family scales neither the stem nor the features, nor the outer stages' depth.
    x = conv_bn(x, 32, kernel=3, stride=2, name="stem")
    for stage, (expansion, kernel, channels, repeats, first_stride) in enumerate(_STAGES):
        is_outer = stage in (0, len(_STAGES) - 1)
        for block in range(repeats if is_outer else math.ceil(repeats * depth)):
            x = inverted_residual(
                x,
                channels_of(channels, width),
                expansion=expansion,
                kernel=kernel,
                stride=first_stride if block == 0 else 1,
                name=f"stage{stage}_block{block}",
            )
    return conv_bn(x, 1280, name="features")
