"""ResNet: He et al. 2015, arXiv:1512.03385, table 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from keras import layers

from edgecnn.zoo.blocks import Tensor

Block: TypeAlias = Callable[[Tensor, int, int, str], Tensor]


def resnet18(x: Tensor) -> Tensor:
    """[N, H, W, 3] to [N, H/32, W/32, 512]."""
    return residual_stages(stem(x), (2, 2, 2, 2), _basic)


def resnet34(x: Tensor) -> Tensor:
    """[N, H, W, 3] to [N, H/32, W/32, 512]."""
    return residual_stages(stem(x), (3, 4, 6, 3), _basic)


def resnet50_v1_5(x: Tensor) -> Tensor:
    """[N, H, W, 3] to [N, H/32, W/32, 2048]; the 3x3 convolutions are the strided ones.

    Source: torchvision's ResNet-50, whose weights it takes; half a point better than the
    paper's, which strides in the 1x1 before them.
    """
    return residual_stages(stem(x), (3, 4, 6, 3), _bottleneck)


def stem(x: Tensor) -> Tensor:
    """[N, H, W, 3] to [N, H/4, W/4, 64]."""
    x = conv_bn(x, 64, kernel=7, stride=2, name="stem")
    return layers.MaxPooling2D(3, 2, padding="same", name="stem_pool")(x)


def residual_stages(x: Tensor, repeats: tuple[int, ...], block: Block) -> Tensor:
    """Four stages, each with twice the channels of the one before at half its size."""
    for stage, count in enumerate(repeats):
        for index in range(count):
            stride = 2 if stage > 0 and index == 0 else 1
            x = block(x, 64 * 2**stage, stride, f"stage{stage}_block{index}")
    return x


def _basic(x: Tensor, channels: int, stride: int, name: str) -> Tensor:
    """Two 3x3 convolutions: figure 5, left."""
    y = conv_bn(x, channels, kernel=3, stride=stride, name=f"{name}_first")
    y = conv_bn(y, channels, kernel=3, relu=False, name=f"{name}_second")
    return join(x, y, stride=stride, name=name)


def _bottleneck(x: Tensor, channels: int, stride: int, name: str) -> Tensor:
    """Narrow, convolve, widen to four times the channels: figure 5, right."""
    y = conv_bn(x, channels, name=f"{name}_narrow")
    y = conv_bn(y, channels, kernel=3, stride=stride, name=f"{name}_middle")
    y = conv_bn(y, 4 * channels, relu=False, name=f"{name}_wide")
    return join(x, y, stride=stride, name=name)


def join(x: Tensor, y: Tensor, *, stride: int, name: str, kernel: int = 1) -> Tensor:
    """Add a block's input to its output, through a convolution where shapes disagree."""
    if stride > 1 or x.shape[-1] != y.shape[-1]:
        x = conv_bn(x, y.shape[-1], kernel=kernel, stride=stride, relu=False, name=f"{name}_bridge")
    x = layers.Add(name=f"{name}_add")([x, y])
    return layers.ReLU(name=f"{name}_relu")(x)


def conv_bn(
    x: Tensor, channels: int, *, name: str, kernel: int = 1, stride: int = 1, relu: bool = True
) -> Tensor:
    """Convolve, normalize and, unless the layer is linear, cut off what is negative."""
    x = layers.Conv2D(
        channels, kernel, stride, padding="same", use_bias=False, name=f"{name}_conv"
    )(x)
    return normalized(x, name=name, relu=relu)


def normalized(x: Tensor, *, name: str, relu: bool = True) -> Tensor:
    """Batch norm with torch's epsilon, so that its weights give its answers."""
    x = layers.BatchNormalization(epsilon=1e-5, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x) if relu else x
