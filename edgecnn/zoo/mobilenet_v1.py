"""MobileNetV1: Howard et al. 2017, arXiv:1704.04861."""

from __future__ import annotations

from edgecnn.zoo.blocks import Tensor, channels_of, conv_bn, separable_bn

# channels, repeats; each stage but the first begins with stride 2: table 1
_STAGES = ((64, 1), (128, 2), (256, 2), (512, 6), (1024, 2))


def mobilenet_v1(x: Tensor, alpha: float) -> Tensor:
    """[N, H, W, 3] in -1..1 to [N, H/32, W/32, 1024 * alpha]."""
    x = conv_bn(x, channels_of(32, alpha), kernel=3, stride=2, name="stem")
    for stage, (channels, repeats) in enumerate(_STAGES):
        for block in range(repeats):
            x = separable_bn(
                x,
                channels_of(channels, alpha),
                stride=2 if stage and not block else 1,
                name=f"stage{stage}_block{block}",
            )
    return x
