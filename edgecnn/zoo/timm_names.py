"""timm's names of the layers of our architectures; source: the models of timm 1.0.31."""

from __future__ import annotations

import dataclasses

from edgecnn.zoo.architecture import MINUS_ONE_TO_ONE
from edgecnn.zoo.convention import Convention, units

_SE = {"se.conv_reduce": "squeeze_conv", "se.conv_expand": "excite_conv"}
_INVERTED = _SE | units(
    ("conv_pw", "bn1", "expand"), ("conv_dw", "bn2", "depthwise"), ("conv_pwl", "bn3", "project")
)
_FIRST = _SE | units(("conv_dw", "bn1", "depthwise"), ("conv_pw", "bn2", "project"))
_SEPARABLE = units(("conv_dw", "bn1", "depthwise"), ("conv_pw", "bn2", "pointwise"))
_UNIVERSAL = units(
    ("dw_start.conv", "dw_start.bn", "start"),
    ("pw_exp.conv", "pw_exp.bn", "expand"),
    ("dw_mid.conv", "dw_mid.bn", "depthwise"),
    ("pw_proj.conv", "pw_proj.bn", "project"),
)
TIMM = Convention(
    origin="timm",
    marker="conv_stem.weight",
    names=units(("conv_stem", "bn1", "stem"), ("conv_head", "bn2", "features"))
    | {"classifier": "logits"},
    block=r"blocks\.(\d+)\.(\d+)",
    parts=(("conv_pwl", _INVERTED), ("conv_dw", _FIRST)),
)
V3_SMALL = dataclasses.replace(
    TIMM,
    names=units(("conv_stem", "bn1", "stem"))
    | units((r"blocks\.5\.0\.conv", r"blocks\.5\.0\.bn1", "features"))
    | {"conv_head": "head_conv", "classifier": "logits"},
)
V3_LARGE = dataclasses.replace(
    TIMM,
    names=units(("conv_stem", "bn1", "stem"))
    | units((r"blocks\.6\.0\.conv", r"blocks\.6\.0\.bn1", "features"))
    | {"conv_head": "head_conv", "classifier": "logits"},
)
_V4_ENDS = units(
    ("conv_stem", "bn1", "stem0"),
    (r"blocks\.4\.0\.conv", r"blocks\.4\.0\.bn1", "features"),
    ("conv_head", "norm_head", "head"),
) | {"classifier": "logits"}
V4_SMALL = dataclasses.replace(
    TIMM,
    names=_V4_ENDS
    | units(
        (r"blocks\.0\.0\.conv", r"blocks\.0\.0\.bn1", "stem1"),
        (r"blocks\.0\.1\.conv", r"blocks\.0\.1\.bn1", "stem2"),
        (r"blocks\.1\.0\.conv", r"blocks\.1\.0\.bn1", "stem3"),
        (r"blocks\.1\.1\.conv", r"blocks\.1\.1\.bn1", "stem4"),
    ),
    parts=(("pw_exp.conv", _UNIVERSAL),),
)
V4_MEDIUM = dataclasses.replace(
    V4_SMALL,
    names=_V4_ENDS
    | units(
        (r"blocks\.0\.0\.conv_exp", r"blocks\.0\.0\.bn1", "stem1"),
        (r"blocks\.0\.0\.conv_pwl", r"blocks\.0\.0\.bn2", "stem2"),
    ),
)
XCEPTION = Convention(
    origin="timm",
    marker="block1.rep.0.conv1.weight",
    names=units(("conv1", "bn1", "block1_conv1"), ("conv2", "bn2", "block1_conv2"))
    | units((r"conv3\.conv1", "bn3", "block14_separable1"))
    | units((r"conv4\.conv1", "bn4", "block14_separable2"))
    | {r"conv3\.pointwise": "block14_separable1_conv/1"}
    | {r"conv4\.pointwise": "block14_separable2_conv/1"}
    | {"fc": "logits"},
    block=r"block(\d+)",
    parts=tuple(
        (
            f"rep.{first}.conv1",
            units(("skip", "skipbn", "bridge"))
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

V1 = dataclasses.replace(TIMM, parts=(("conv_dw", _SEPARABLE),))


def of_tensorflow(timm: Convention) -> Convention:
    """Return timm's convention for weights that it took over from TensorFlow."""
    return dataclasses.replace(
        timm,
        path=r"(^|[^a-z])tf_(mobilenet|efficientnet)",
        normalization=MINUS_ONE_TO_ONE,
        padding="same",
        epsilon=1e-3,
    )
