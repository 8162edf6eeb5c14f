"""MobileNetV2: Sandler et al. 2018, arXiv:1801.04381."""

from __future__ import annotations

from edgecnn.zoo.blocks import Inverted, Tensor, channels_of, conv_bn, inverted_residual

# expansion, channels, repeats, first stride: table 2
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenet_v2(x: Tensor, alpha: float) -> Tensor:
    """[N, H, W, 3] in -1..1 to [N, H/32, W/32, 1280 or more]."""
    x = conv_bn(x, channels_of(32, alpha), kernel=3, stride=2, name="stem")
    for stage, (expansion, channels, repeats, first_stride) in enumerate(_STAGES):
        for number in range(repeats):
            block = Inverted(
                channels=channels_of(channels, alpha),
                expanded=expansion * x.shape[-1],
                stride=first_stride if number == 0 else 1,
            )
            x = inverted_residual(x, block, name=f"stage{stage}_block{number}")
    # A narrow network keeps its full last layer: the paper found that small models need it.
    return conv_bn(x, channels_of(1280, max(alpha, 1.0)), name="features")
