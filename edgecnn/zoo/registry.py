"""All architectures on one screen."""

from __future__ import annotations

from collections.abc import Callable

from edgecnn.core.errors import unknown
from edgecnn.core.normalization import same_for_all
from edgecnn.zoo.alexnet import alexnet, wide_head, zfnet
from edgecnn.zoo.applications import (
    MEANS_OFF,
    inception_v3,
    resnet50,
    resnet101,
    resnet152,
    vgg16,
    vgg19,
)
from edgecnn.zoo.architecture import IMAGENET_STATISTICS, Architecture, one_width
from edgecnn.zoo.blocks import Tensor
from edgecnn.zoo.ds_cnn import ds_cnn
from edgecnn.zoo.efficientnet import (
    efficientnet_b0,
    efficientnet_lite0,
    efficientnet_lite1,
    efficientnet_lite2,
    efficientnet_lite3,
    efficientnet_lite4,
)
from edgecnn.zoo.googlenet import AUXILIARY, googlenet, se_inception
from edgecnn.zoo.inception_v4 import inception_v4
from edgecnn.zoo.lenet import lenet5, lenet_head
from edgecnn.zoo.mnasnet import mnasnet
from edgecnn.zoo.mobilenet_v1 import mobilenet_v1
from edgecnn.zoo.mobilenet_v2 import mobilenet_v2
from edgecnn.zoo.mobilenet_v3 import (
    mobilenet_v3_large,
    mobilenet_v3_large_minimalistic,
    mobilenet_v3_small,
    mobilenet_v3_small_minimalistic,
    widening_head,
)
from edgecnn.zoo.mobilenet_v4 import (
    mobilenet_v4_conv_medium,
    mobilenet_v4_conv_small,
    mobilenet_v4_head,
)
from edgecnn.zoo.resnet import resnet18, resnet34, resnet50_v1_5
from edgecnn.zoo.senet import se_resnet50, senet154
from edgecnn.zoo.tutorial import dense_baseline, dense_head, tutorial_cnn, tutorial_head
from edgecnn.zoo.xception import xception, xception_small

_LITE = same_for_all(1 / 128, -127 / 128)


def _lite(body: Callable[[Tensor], Tensor], *, size: int) -> Architecture:
    # Source of crop and filter: tensorflow/tpu, efficientnet/preprocessing.py
    return Architecture(
        body=one_width(body),
        normalization=_LITE,
        default_size=size,
        filter="bicubic",
        crop=size / (size + 32),
    )


_EDGE = {
    "ds_cnn": Architecture(body=ds_cnn, default_size=96, has_alpha=True),
    "efficientnet_b0": Architecture(
        body=one_width(efficientnet_b0), normalization=IMAGENET_STATISTICS
    ),
    "efficientnet_lite0": _lite(efficientnet_lite0, size=224),
    "efficientnet_lite1": _lite(efficientnet_lite1, size=240),
    "efficientnet_lite2": _lite(efficientnet_lite2, size=260),
    "efficientnet_lite3": _lite(efficientnet_lite3, size=280),
    "efficientnet_lite4": _lite(efficientnet_lite4, size=300),
    "mnasnet": Architecture(body=mnasnet, has_alpha=True),
    "mobilenet_v1": Architecture(body=mobilenet_v1, has_alpha=True),
    "mobilenet_v2": Architecture(body=mobilenet_v2, has_alpha=True),
    "mobilenet_v3_large": Architecture(
        body=mobilenet_v3_large,
        head=widening_head(1280, features=960, activation="hard_silu"),
        has_alpha=True,
    ),
    "mobilenet_v3_large_minimalistic": Architecture(
        body=mobilenet_v3_large_minimalistic,
        head=widening_head(1280, features=960, activation="relu"),
        has_alpha=True,
    ),
    "mobilenet_v3_small": Architecture(
        body=mobilenet_v3_small,
        head=widening_head(1024, features=576, activation="hard_silu"),
        has_alpha=True,
    ),
    "mobilenet_v3_small_minimalistic": Architecture(
        body=mobilenet_v3_small_minimalistic,
        head=widening_head(1024, features=576, activation="relu"),
        has_alpha=True,
    ),
    "mobilenet_v4_conv_medium": Architecture(
        body=one_width(mobilenet_v4_conv_medium), head=mobilenet_v4_head, default_size=256
    ),
    "mobilenet_v4_conv_small": Architecture(
        body=one_width(mobilenet_v4_conv_small), head=mobilenet_v4_head
    ),
    "xception": Architecture(body=one_width(xception), default_size=299, min_size=71),
    "xception_small": Architecture(body=one_width(xception_small)),
}

_CLASSIC = {
    "alexnet": Architecture(body=one_width(alexnet), head=wide_head, default_size=227, min_size=67),
    "dense_baseline": Architecture(
        body=one_width(dense_baseline), head=dense_head, default_size=28, min_size=8
    ),
    "googlenet": Architecture(body=one_width(googlenet), auxiliary=AUXILIARY),
    "inception_v3": Architecture(body=one_width(inception_v3), default_size=299, min_size=75),
    "inception_v4": Architecture(body=one_width(inception_v4), default_size=299, min_size=75),
    "lenet5": Architecture(body=one_width(lenet5), head=lenet_head, default_size=32),
    "resnet18": Architecture(body=one_width(resnet18), normalization=IMAGENET_STATISTICS),
    "resnet34": Architecture(body=one_width(resnet34), normalization=IMAGENET_STATISTICS),
    "resnet50": Architecture(body=one_width(resnet50), normalization=MEANS_OFF, bgr_weights=True),
    "resnet50_v1_5": Architecture(body=one_width(resnet50_v1_5), normalization=IMAGENET_STATISTICS),
    "resnet101": Architecture(body=one_width(resnet101), normalization=MEANS_OFF, bgr_weights=True),
    "resnet152": Architecture(body=one_width(resnet152), normalization=MEANS_OFF, bgr_weights=True),
    "se_inception": Architecture(body=one_width(se_inception), auxiliary=AUXILIARY),
    "se_resnet50": Architecture(body=one_width(se_resnet50), normalization=IMAGENET_STATISTICS),
    "senet154": Architecture(body=one_width(senet154), normalization=IMAGENET_STATISTICS),
    "tutorial_cnn": Architecture(
        body=one_width(tutorial_cnn), head=tutorial_head, default_size=150, min_size=46
    ),
    "vgg16": Architecture(
        body=one_width(vgg16), head=wide_head, normalization=MEANS_OFF, bgr_weights=True
    ),
    "vgg19": Architecture(
        body=one_width(vgg19), head=wide_head, normalization=MEANS_OFF, bgr_weights=True
    ),
    "zfnet": Architecture(body=one_width(zfnet), head=wide_head, default_size=225, min_size=55),
}

ARCHITECTURES: dict[str, Architecture] = {**_EDGE, **_CLASSIC}


def find(name: str) -> Architecture:
    """Return an architecture.

    Raises:
        InputError: there is none of that name; the nearest one is offered.
    """
    if name not in ARCHITECTURES:
        raise unknown("architecture", name, ARCHITECTURES, where="--arch")
    return ARCHITECTURES[name]
