"""All architectures on one screen."""

from __future__ import annotations

from edgecnn.core.errors import unknown
from edgecnn.core.normalization import same_for_all
from edgecnn.zoo.architecture import Architecture, one_width
from edgecnn.zoo.ds_cnn import ds_cnn
from edgecnn.zoo.efficientnet_lite import efficientnet_lite0
from edgecnn.zoo.mobilenet_v2 import mobilenet_v2
from edgecnn.zoo.tutorial import dense_baseline, dense_head, tutorial_cnn, tutorial_head
from edgecnn.zoo.xception import xception

_LITE = same_for_all(1 / 128, -127 / 128)
_PUBLISHED = ("imagenet", "none")

_EDGE = {
    "ds_cnn": Architecture(body=ds_cnn, default_size=96, has_alpha=True),
    "efficientnet_lite0": Architecture(
        body=one_width(efficientnet_lite0),
        normalization=_LITE,
        filter="bicubic",
        crop=0.875,
        sources=_PUBLISHED,
    ),
    "mobilenet_v2": Architecture(body=mobilenet_v2, has_alpha=True, sources=_PUBLISHED),
    "xception": Architecture(
        body=one_width(xception), default_size=299, min_size=71, sources=_PUBLISHED
    ),
}

_CLASSIC = {
    "dense_baseline": Architecture(
        body=one_width(dense_baseline), head=dense_head, default_size=28, min_size=8
    ),
    "tutorial_cnn": Architecture(
        body=one_width(tutorial_cnn), head=tutorial_head, default_size=150, min_size=46
    ),
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
