"""Networks that `keras.applications` has, behind this zoo's interface.

Layers keep Keras's names and order, so that Keras's weights fit; their graph is part of
ours, without a model inside the model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from edgecnn.core.normalization import Normalization
from edgecnn.zoo.blocks import Tensor

MEANS_OFF = Normalization((1.0, 1.0, 1.0), (-123.68, -116.779, -103.939))
"""ImageNet's mean colour taken off, the rest as it is: what VGG's and ResNet's weights want.

Theirs want blue first; pixels here are RGB, and the first kernel's channels turn round instead.
"""

# Inception-v3's have none: each of its convolutions comes with a batch norm and an activation.
_NAMES = {
    "conv2d": "layer{}_conv",
    "batch_normalization": "layer{}_bn",
    "activation": "layer{}_relu",
    "average_pooling2d": "average{}_pool",
    "max_pooling2d": "largest{}_pool",
    "concatenate": "fork{}_concat",
}


def vgg16(x: Tensor) -> Tensor:
    """[N, H, W, 3] to [N, H/32, W/32, 512]: Simonyan and Zisserman 2014, arXiv:1409.1556."""
    return _body(keras.applications.VGG16, x)


def vgg19(x: Tensor) -> Tensor:
    """[N, H, W, 3] to [N, H/32, W/32, 512]: arXiv:1409.1556, column E."""
    return _body(keras.applications.VGG19, x)


def resnet50(x: Tensor) -> Tensor:
    """[N, H, W, 3] to [N, H/32, W/32, 2048]: He et al. 2015, arXiv:1512.03385."""
    return _body(keras.applications.ResNet50, x)


def resnet101(x: Tensor) -> Tensor:
    """[N, H, W, 3] to [N, H/32, W/32, 2048]: arXiv:1512.03385."""
    return _body(keras.applications.ResNet101, x)


def resnet152(x: Tensor) -> Tensor:
    """[N, H, W, 3] to [N, H/32, W/32, 2048]: arXiv:1512.03385."""
    return _body(keras.applications.ResNet152, x)


def inception_v3(x: Tensor) -> Tensor:
    """[N, H, W, 3] to [N, 8, 8, 2048] for 299 pixels: Szegedy et al. 2015, arXiv:1512.00567."""
    return _body(keras.applications.InceptionV3, x)


def _body(make: Callable[..., Any], x: Tensor) -> Tensor:
    model = make(include_top=False, weights=None, input_tensor=x)
    _name_the_nameless(model)
    return model.output


def _name_the_nameless(model: keras.Model) -> None:
    """Number layers from 1 in each network: Keras counts them up through the process."""
    nameless: dict[str, list[tuple[int, keras.Layer]]] = {}
    for layer in model.layers:
        kind, _, count = layer.name.rpartition("_")
        if not count.isdigit():
            kind, count = layer.name, "0"
        if kind in _NAMES:
            nameless.setdefault(kind, []).append((int(count), layer))
    for kind, counted in nameless.items():
        for number, (_, layer) in enumerate(sorted(counted, key=lambda pair: pair[0]), start=1):
            layer.name = _NAMES[kind].format(number)
