"""A small separable network that learns from a few thousand photos without any start weights.

The blocks are MobileNetV1's (Howard et al. 2017, arXiv:1704.04861); a block whose input
and output agree in shape is bridged, which trains faster and costs one addition.
"""

from __future__ import annotations

from keras import layers

from edgecnn.zoo.blocks import Tensor, channels_of, conv_bn, separable_bn

# channels, repeats; each stage begins with stride 2
_STAGES = ((64, 2), (128, 3), (256, 3))


def ds_cnn(x: Tensor, alpha: float) -> Tensor:
    """[N, H, W, C] in -1..1 to [N, H/16, W/16, 256 * alpha]."""
    x = conv_bn(x, channels_of(32, alpha), kernel=3, stride=2, name="stem")
    for stage, (channels, repeats) in enumerate(_STAGES):
        width = channels_of(channels, alpha)
        for block in range(repeats):
            name = f"stage{stage}_block{block}"
            y = separable_bn(x, width, stride=2 if block == 0 else 1, name=name)
            x = y if block == 0 else layers.Add(name=f"{name}_add")([x, y])
    return x
