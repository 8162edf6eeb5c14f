"""Squeeze-and-excitation networks: Hu et al. 2017, arXiv:1709.01507.

The tables are ResNet's; the blocks are those of the authors' published weights.
"""

from __future__ import annotations

from keras import layers

from edgecnn.zoo.blocks import Tensor
from edgecnn.zoo.resnet import conv_bn, join, normalized, residual_stages, stem


def se_resnet50(x: Tensor) -> Tensor:
    """[N, H, W, 3] to [N, H/32, W/32, 2048]."""
    return residual_stages(stem(x), (3, 4, 6, 3), _se_bottleneck)


def senet154(x: Tensor) -> Tensor:
    """[N, H, W, 3] to [N, H/32, W/32, 2048]; the network that won ILSVRC 2017."""
    for layer, channels in enumerate((64, 64, 128)):
        x = conv_bn(x, channels, kernel=3, stride=1 if layer else 2, name=f"stem_layer{layer}")
    x = layers.MaxPooling2D(3, 2, padding="same", name="stem_pool")(x)
    return residual_stages(x, (3, 8, 36, 3), _senet_block)


def squeeze_excite(x: Tensor, *, name: str, reduction: int = 16) -> Tensor:
    """Scale each channel by a share 0..1 that all channels' averages decide: figure 2."""
    channels = x.shape[-1]
    share = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze_pool")(x)
    share = layers.Conv2D(channels // reduction, 1, activation="relu", name=f"{name}_squeeze_conv")(
        share
    )
    share = layers.Conv2D(channels, 1, activation="sigmoid", name=f"{name}_excite_conv")(share)
    return layers.Multiply(name=f"{name}_scale")([x, share])


def _se_bottleneck(x: Tensor, channels: int, stride: int, name: str) -> Tensor:
    """ResNet's bottleneck as in its paper, the stride in the first convolution: figure 3."""
    y = conv_bn(x, channels, stride=stride, name=f"{name}_narrow")
    y = conv_bn(y, channels, kernel=3, name=f"{name}_middle")
    y = conv_bn(y, 4 * channels, relu=False, name=f"{name}_wide")
    return join(x, squeeze_excite(y, name=name), stride=stride, name=name)


def _senet_block(x: Tensor, channels: int, stride: int, name: str) -> Tensor:
    """A bottleneck of 64 groups, half as wide at its entry; the appendix describes it."""
    y = conv_bn(x, 2 * channels, name=f"{name}_narrow")
    y = _grouped(y, 4 * channels, stride, f"{name}_middle")
    y = conv_bn(y, 4 * channels, relu=False, name=f"{name}_wide")
    y = squeeze_excite(y, name=name)
    return join(x, y, stride=stride, kernel=3 if stride > 1 else 1, name=name)


def _grouped(x: Tensor, channels: int, stride: int, name: str) -> Tensor:
    """64 narrow 3x3 convolutions side by side, each on its own share of the channels."""
    x = layers.Conv2D(
        channels, 3, stride, padding="same", groups=64, use_bias=False, name=f"{name}_conv"
    )(x)
    return normalized(x, name=name)
