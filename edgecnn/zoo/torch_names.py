"""Which torch zoos' weights fit which of our architectures."""

from __future__ import annotations

import dataclasses

from edgecnn.core.normalization import same_for_all
from edgecnn.zoo import timm_names as timm
from edgecnn.zoo import torchvision_names as torchvision
from edgecnn.zoo.architecture import IMAGENET_STATISTICS
from edgecnn.zoo.convention import Convention, units

_LITE = same_for_all(1 / 128, -127 / 128)
_LITE_PACKAGE = Convention(
    origin="efficientnet_lite_pytorch",
    marker="_conv_stem.weight",
    names=units(("_conv_stem", "_bn0", "stem"), ("_conv_head", "_bn1", "features"))
    | {"_fc": "logits"},
    block=r"_blocks\.(\d+)",
    parts=(
        (
            "_expand_conv",
            units(("_expand_conv", "_bn0", "expand"), ("_depthwise_conv", "_bn1", "depthwise"))
            | units(("_project_conv", "_bn2", "project")),
        ),
        (
            "_depthwise_conv",
            units(("_depthwise_conv", "_bn1", "depthwise"), ("_project_conv", "_bn2", "project")),
        ),
    ),
    normalization=_LITE,
    padding="same",
    epsilon=1e-3,
)

_TIMM_LITE = (
    dataclasses.replace(timm.TIMM, path=r"(^|[^_])efficientnet_lite\d[._]ra"),
    dataclasses.replace(timm.of_tensorflow(timm.TIMM), path=""),
    _LITE_PACKAGE,
)
_V3_SMALL = (timm.of_tensorflow(timm.V3_SMALL), timm.V3_SMALL, torchvision.V3)
_V3_LARGE = (timm.of_tensorflow(timm.V3_LARGE), timm.V3_LARGE, torchvision.V3)

CONVENTIONS: dict[str, tuple[Convention, ...]] = {
    "mobilenet_v1": (timm.V1,),
    "mobilenet_v2": (timm.TIMM, torchvision.V2),
    "mobilenet_v3_small": _V3_SMALL,
    "mobilenet_v3_large": _V3_LARGE,
    "mobilenet_v3_small_minimalistic": _V3_SMALL,
    "mobilenet_v3_large_minimalistic": _V3_LARGE,
    "mobilenet_v4_conv_small": (timm.V4_SMALL,),
    "mobilenet_v4_conv_medium": (timm.V4_MEDIUM,),
    **{f"efficientnet_lite{size}": _TIMM_LITE for size in range(5)},
    "efficientnet_b0": (
        dataclasses.replace(timm.of_tensorflow(timm.TIMM), normalization=IMAGENET_STATISTICS),
        timm.TIMM,
    ),
    "mnasnet": (timm.TIMM, torchvision.MNASNET),
    "xception": (timm.XCEPTION,),
    "resnet18": (torchvision.RESNET,),
    "resnet34": (torchvision.RESNET,),
    "resnet50_v1_5": (torchvision.RESNET,),
    "se_resnet50": (torchvision.SE_RESNET,),
    "senet154": (torchvision.SENET,),
}
"""Those of each architecture; the first whose marker and path a file has is the one."""
