"""MnasNet-B1, the one without squeeze-and-excitation: Tan et al. 2019, arXiv:1807.11626."""

from __future__ import annotations

from edgecnn.zoo.blocks import (
    Inverted,
    Tensor,
    channels_of,
    conv_bn,
    depthwise_bn,
    inverted_residual,
)

# expansion, kernel, channels, repeats, first stride; as torchvision's mnasnet1_0 has them
_STAGES = (
    (3, 3, 24, 3, 2),
    (3, 5, 40, 3, 2),
    (6, 5, 80, 3, 2),
    (6, 3, 96, 2, 1),
    (6, 5, 192, 4, 2),
    (6, 3, 320, 1, 1),
)


def mnasnet(x: Tensor, alpha: float) -> Tensor:
    """[N, H, W, 3] in -1..1 to [N, H/32, W/32, 1280]."""
    x = conv_bn(x, channels_of(32, alpha), kernel=3, stride=2, activation="relu", name="stem")
    x = depthwise_bn(x, activation="relu", name="block0_depthwise")
    x = conv_bn(x, channels_of(16, alpha), activation=None, name="block0_project")
    for stage, (expansion, kernel, channels, repeats, first_stride) in enumerate(_STAGES):
        for number in range(repeats):
            block = Inverted(
                channels=channels_of(channels, alpha),
                expanded=expansion * x.shape[-1],
                kernel=kernel,
                stride=first_stride if number == 0 else 1,
                activation="relu",
            )
            x = inverted_residual(x, block, name=f"stage{stage}_block{number}")
    return conv_bn(x, 1280, activation="relu", name="features")
