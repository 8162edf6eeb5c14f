"""How torch's zoos name the layers of our architectures, and what their weights want.

One table a convention. A name outside the blocks is translated by itself; a block's number
is its place among the file's blocks, and a block's parts are translated by the first table
whose telling part the block has. Sources: the models of timm 1.0.31 and torchvision 0.29.
"""

from __future__ import annotations

import dataclasses

from edgecnn.core.checkpoint import Padding
from edgecnn.core.normalization import Normalization, same_for_all
from edgecnn.zoo.architecture import MINUS_ONE_TO_ONE

Parts = dict[str, str]
"""A part's name inside their block to ours; ``/1`` is the second array of our layer."""

# ImageNet's mean and deviation of a channel, of pixels 0..1: torchvision and timm.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
IMAGENET_STATISTICS = Normalization(
    tuple(1 / (255 * deviation) for deviation in _DEVIATION),
    tuple(-mean / deviation for mean, deviation in zip(_MEAN, _DEVIATION, strict=True)),
)
_LITE = same_for_all(1 / 128, -127 / 128)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Convention:
    """One way to write an architecture's weights down.

    Attributes:
        origin: Who writes so.
        marker: A tensor that files of this convention have.
        names: Regular expressions of layers outside the blocks, to ours.
        block: Regular expression of a block's prefix.
        parts: A part that tells the kind of block, and the names of that kind's parts.
        skip: Our first blocks that `names` has, or that have other names there.
        path: Regular expression that the file's path has to match too.
        normalization: What the weights want to see.
        padding: How their strided layers pad.
        epsilon: Of their batch norms.
    """

    origin: str
    marker: str
    names: Parts
    block: str
    parts: tuple[tuple[str, Parts], ...]
    skip: int = 0
    path: str = ""
    normalization: Normalization = IMAGENET_STATISTICS
    padding: Padding = "symmetric"
    epsilon: float = 1e-5


def _units(*pairs: tuple[str, str, str]) -> Parts:
    """Return the names of convolutions with their batch norms: theirs, theirs, ours."""
    names: Parts = {}
    for conv, norm, ours in pairs:
        names |= {conv: f"{ours}_conv", norm: f"{ours}_bn"}
    return names


_TIMM_SE = {"se.conv_reduce": "squeeze_conv", "se.conv_expand": "excite_conv"}
_TIMM_INVERTED = _TIMM_SE | _units(
    ("conv_pw", "bn1", "expand"), ("conv_dw", "bn2", "depthwise"), ("conv_pwl", "bn3", "project")
)
_TIMM_FIRST = _TIMM_SE | _units(("conv_dw", "bn1", "depthwise"), ("conv_pw", "bn2", "project"))
_TIMM_SEPARABLE = _units(("conv_dw", "bn1", "depthwise"), ("conv_pw", "bn2", "pointwise"))
_TIMM_UNIVERSAL = _units(
    ("dw_start.conv", "dw_start.bn", "start"),
    ("pw_exp.conv", "pw_exp.bn", "expand"),
    ("dw_mid.conv", "dw_mid.bn", "depthwise"),
    ("pw_proj.conv", "pw_proj.bn", "project"),
)
_TIMM = Convention(
    origin="timm",
    marker="conv_stem.weight",
    names=_units(("conv_stem", "bn1", "stem"), ("conv_head", "bn2", "features"))
    | {"classifier": "logits"},
    block=r"blocks\.(\d+)\.(\d+)",
    parts=(("conv_pwl", _TIMM_INVERTED), ("conv_dw", _TIMM_FIRST)),
)
_TIMM_V3_SMALL = dataclasses.replace(
    _TIMM,
    names=_units(("conv_stem", "bn1", "stem"))
    | _units((r"blocks\.5\.0\.conv", r"blocks\.5\.0\.bn1", "features"))
    | {"conv_head": "head_conv", "classifier": "logits"},
)
_TIMM_V3_LARGE = dataclasses.replace(
    _TIMM,
    names=_units(("conv_stem", "bn1", "stem"))
    | _units((r"blocks\.6\.0\.conv", r"blocks\.6\.0\.bn1", "features"))
    | {"conv_head": "head_conv", "classifier": "logits"},
)
_TIMM_V4_ENDS = _units(
    ("conv_stem", "bn1", "stem0"),
    (r"blocks\.4\.0\.conv", r"blocks\.4\.0\.bn1", "features"),
    ("conv_head", "norm_head", "head"),
) | {"classifier": "logits"}
_TIMM_V4_SMALL = dataclasses.replace(
    _TIMM,
    names=_TIMM_V4_ENDS
    | _units(
        (r"blocks\.0\.0\.conv", r"blocks\.0\.0\.bn1", "stem1"),
        (r"blocks\.0\.1\.conv", r"blocks\.0\.1\.bn1", "stem2"),
        (r"blocks\.1\.0\.conv", r"blocks\.1\.0\.bn1", "stem3"),
        (r"blocks\.1\.1\.conv", r"blocks\.1\.1\.bn1", "stem4"),
    ),
    parts=(("pw_exp.conv", _TIMM_UNIVERSAL),),
)
_TIMM_V4_MEDIUM = dataclasses.replace(
    _TIMM_V4_SMALL,
    names=_TIMM_V4_ENDS
    | _units(
        (r"blocks\.0\.0\.conv_exp", r"blocks\.0\.0\.bn1", "stem1"),
        (r"blocks\.0\.0\.conv_pwl", r"blocks\.0\.0\.bn2", "stem2"),
    ),
)
_TIMM_XCEPTION = Convention(
    origin="timm",
    marker="block1.rep.0.conv1.weight",
    names=_units(("conv1", "bn1", "block1_conv1"), ("conv2", "bn2", "block1_conv2"))
    | _units((r"conv3\.conv1", "bn3", "block14_separable1"))
    | _units((r"conv4\.conv1", "bn4", "block14_separable2"))
    | {r"conv3\.pointwise": "block14_separable1_conv/1"}
    | {r"conv4\.pointwise": "block14_separable2_conv/1"}
    | {"fc": "logits"},
    block=r"block(\d+)",
    parts=tuple(
        (
            f"rep.{first}.conv1",
            _units(("skip", "skipbn", "bridge"))
            | {
                name: ours
                for layer in (1, 2, 3)
                for at in (first + 3 * (layer - 1),)
                for name, ours in (
                    (f"rep.{at}.conv1", f"separable{layer}_conv"),
                    (f"rep.{at}.pointwise", f"separable{layer}_conv/1"),
                    (f"rep.{at + 1}", f"separable{layer}_bn"),
                )
            },
        )
        for first in (0, 1)
    ),
    skip=1,
    normalization=MINUS_ONE_TO_ONE,
)

_TORCHVISION_V2 = Convention(
    origin="torchvision",
    marker="features.1.conv.0.0.weight",
    names=_units((r"features\.0\.0", r"features\.0\.1", "stem"))
    | _units((r"features\.18\.0", r"features\.18\.1", "features"))
    | {r"classifier\.1": "logits"},
    block=r"features\.(\d+)\.conv",
    parts=(
        ("3", _units(("0.0", "0.1", "expand"), ("1.0", "1.1", "depthwise"), ("2", "3", "project"))),
        ("0.0", _units(("0.0", "0.1", "depthwise"), ("1", "2", "project"))),
    ),
)
_SE_AT_1 = {"1.fc1": "squeeze_conv", "1.fc2": "excite_conv"}
_SE_AT_2 = {"2.fc1": "squeeze_conv", "2.fc2": "excite_conv"}
_WIDENED = _units(("0.0", "0.1", "expand"), ("1.0", "1.1", "depthwise"))
_TORCHVISION_V3 = Convention(
    origin="torchvision",
    marker="features.1.block.0.0.weight",
    names=_units((r"features\.0\.0", r"features\.0\.1", "stem"))
    | _units((r"features\.\d+\.0", r"features\.\d+\.1", "features"))
    | {r"classifier\.0": "head_conv", r"classifier\.3": "logits"},
    block=r"features\.(\d+)\.block",
    parts=(
        ("3.0", _WIDENED | _SE_AT_2 | _units(("3.0", "3.1", "project"))),
        ("1.fc1", _units(("0.0", "0.1", "depthwise"), ("2.0", "2.1", "project")) | _SE_AT_1),
        ("2.0", _WIDENED | _units(("2.0", "2.1", "project"))),
        ("0.0", _units(("0.0", "0.1", "depthwise"), ("1.0", "1.1", "project"))),
    ),
    epsilon=1e-3,
)
_TORCHVISION_MNASNET = Convention(
    origin="torchvision",
    marker="layers.8.0.layers.0.weight",
    names=_units((r"layers\.0", r"layers\.1", "stem"), (r"layers\.14", r"layers\.15", "features"))
    | _units((r"layers\.3", r"layers\.4", "block0_depthwise"))
    | _units((r"layers\.6", r"layers\.7", "block0_project"))
    | {r"classifier\.1": "logits"},
    block=r"layers\.(\d+)\.(\d+)\.layers",
    parts=(("0", _units(("0", "1", "expand"), ("3", "4", "depthwise"), ("6", "7", "project"))),),
    skip=1,
)
_BRIDGE = _units(("downsample.0", "downsample.1", "bridge"))
_RESNET = Convention(
    origin="torchvision or timm",
    marker="layer1.0.conv1.weight",
    names=_units(("conv1", "bn1", "stem")) | {"fc": "logits"},
    block=r"layer(\d+)\.(\d+)",
    parts=(
        (
            "conv3",
            _BRIDGE
            | _units(("conv1", "bn1", "narrow"), ("conv2", "bn2", "middle"))
            | _units(("conv3", "bn3", "wide")),
        ),
        ("conv2", _BRIDGE | _units(("conv1", "bn1", "first"), ("conv2", "bn2", "second"))),
    ),
)
_SE_RESNET = dataclasses.replace(
    _RESNET,
    origin="pretrainedmodels or timm",
    marker="layer0.conv1.weight",
    names=_units((r"layer0\.conv1", r"layer0\.bn1", "stem")) | {"last_linear": "logits"},
    parts=tuple(
        (part, names | {"se_module.fc1": "squeeze_conv", "se_module.fc2": "excite_conv"})
        for part, names in _RESNET.parts
    ),
    padding="caffe",
)
_LITE_PACKAGE = Convention(
    origin="efficientnet_lite_pytorch",
    marker="_conv_stem.weight",
    names=_units(("_conv_stem", "_bn0", "stem"), ("_conv_head", "_bn1", "features"))
    | {"_fc": "logits"},
    block=r"_blocks\.(\d+)",
    parts=(
        (
            "_expand_conv",
            _units(("_expand_conv", "_bn0", "expand"), ("_depthwise_conv", "_bn1", "depthwise"))
            | _units(("_project_conv", "_bn2", "project")),
        ),
        (
            "_depthwise_conv",
            _units(("_depthwise_conv", "_bn1", "depthwise"), ("_project_conv", "_bn2", "project")),
        ),
    ),
    normalization=_LITE,
    padding="same",
    epsilon=1e-3,
)


def _of_tensorflow(timm: Convention) -> Convention:
    """Return timm's convention for weights that it took over from TensorFlow."""
    return dataclasses.replace(
        timm,
        path=r"(^|[^a-z])tf_(mobilenet|efficientnet)",
        normalization=MINUS_ONE_TO_ONE,
        padding="same",
        epsilon=1e-3,
    )


_TIMM_LITE = (
    dataclasses.replace(_TIMM, path=r"(^|[^_])efficientnet_lite\d[._]ra"),
    dataclasses.replace(_of_tensorflow(_TIMM), path=""),
    _LITE_PACKAGE,
)
_V3_SMALL = (_of_tensorflow(_TIMM_V3_SMALL), _TIMM_V3_SMALL, _TORCHVISION_V3)
_V3_LARGE = (_of_tensorflow(_TIMM_V3_LARGE), _TIMM_V3_LARGE, _TORCHVISION_V3)

CONVENTIONS: dict[str, tuple[Convention, ...]] = {
    "mobilenet_v1": (dataclasses.replace(_TIMM, parts=(("conv_dw", _TIMM_SEPARABLE),)),),
    "mobilenet_v2": (_TIMM, _TORCHVISION_V2),
    "mobilenet_v3_small": _V3_SMALL,
    "mobilenet_v3_large": _V3_LARGE,
    "mobilenet_v3_small_minimalistic": _V3_SMALL,
    "mobilenet_v3_large_minimalistic": _V3_LARGE,
    "mobilenet_v4_conv_small": (_TIMM_V4_SMALL,),
    "mobilenet_v4_conv_medium": (_TIMM_V4_MEDIUM,),
    **{f"efficientnet_lite{size}": _TIMM_LITE for size in range(5)},
    "efficientnet_b0": (
        dataclasses.replace(_of_tensorflow(_TIMM), normalization=IMAGENET_STATISTICS),
        _TIMM,
    ),
    "mnasnet": (_TIMM, _TORCHVISION_MNASNET),
    "xception": (_TIMM_XCEPTION,),
    "resnet18": (_RESNET,),
    "resnet34": (_RESNET,),
    "resnet50_v1_5": (_RESNET,),
    "se_resnet50": (_SE_RESNET,),
}
"""Those of each architecture; the first whose marker and path a file has is the one."""
