"""torchvision's names of the layers of our architectures, and those of networks that follow it.

Sources: the models of torchvision 0.29; timm's ResNet; Cadene's SE-ResNet (pretrainedmodels).
"""

from __future__ import annotations

import dataclasses

from edgecnn.zoo.convention import Convention, units

V2 = Convention(
    origin="torchvision",
    marker="features.1.conv.0.0.weight",
    names=units((r"features\.0\.0", r"features\.0\.1", "stem"))
    | units((r"features\.18\.0", r"features\.18\.1", "features"))
    | {r"classifier\.1": "logits"},
    block=r"features\.(\d+)\.conv",
    parts=(
        ("3", units(("0.0", "0.1", "expand"), ("1.0", "1.1", "depthwise"), ("2", "3", "project"))),
        ("0.0", units(("0.0", "0.1", "depthwise"), ("1", "2", "project"))),
    ),
)
_SE_AT_1 = {"1.fc1": "squeeze_conv", "1.fc2": "excite_conv"}
_SE_AT_2 = {"2.fc1": "squeeze_conv", "2.fc2": "excite_conv"}
_WIDENED = units(("0.0", "0.1", "expand"), ("1.0", "1.1", "depthwise"))
V3 = Convention(
    origin="torchvision",
    marker="features.1.block.0.0.weight",
    names=units((r"features\.0\.0", r"features\.0\.1", "stem"))
    | units((r"features\.\d+\.0", r"features\.\d+\.1", "features"))
    | {r"classifier\.0": "head_conv", r"classifier\.3": "logits"},
    block=r"features\.(\d+)\.block",
    parts=(
        ("3.0", _WIDENED | _SE_AT_2 | units(("3.0", "3.1", "project"))),
        ("1.fc1", units(("0.0", "0.1", "depthwise"), ("2.0", "2.1", "project")) | _SE_AT_1),
        ("2.0", _WIDENED | units(("2.0", "2.1", "project"))),
        ("0.0", units(("0.0", "0.1", "depthwise"), ("1.0", "1.1", "project"))),
    ),
    epsilon=1e-3,
)
MNASNET = Convention(
    origin="torchvision",
    marker="layers.8.0.layers.0.weight",
    names=units((r"layers\.0", r"layers\.1", "stem"), (r"layers\.14", r"layers\.15", "features"))
    | units((r"layers\.3", r"layers\.4", "block0_depthwise"))
    | units((r"layers\.6", r"layers\.7", "block0_project"))
    | {r"classifier\.1": "logits"},
    block=r"layers\.(\d+)\.(\d+)\.layers",
    parts=(("0", units(("0", "1", "expand"), ("3", "4", "depthwise"), ("6", "7", "project"))),),
    skip=1,
)
_BRIDGE = units(("downsample.0", "downsample.1", "bridge"))
RESNET = Convention(
    origin="torchvision or timm",
    marker="layer1.0.conv1.weight",
    names=units(("conv1", "bn1", "stem")) | {"fc": "logits"},
    block=r"layer(\d+)\.(\d+)",
    parts=(
        (
            "conv3",
            _BRIDGE
            | units(("conv1", "bn1", "narrow"), ("conv2", "bn2", "middle"))
            | units(("conv3", "bn3", "wide")),
        ),
        ("conv2", _BRIDGE | units(("conv1", "bn1", "first"), ("conv2", "bn2", "second"))),
    ),
)
SE_RESNET = dataclasses.replace(
    RESNET,
    origin="pretrainedmodels or timm",
    marker="layer0.conv1.weight",
    names=units((r"layer0\.conv1", r"layer0\.bn1", "stem")) | {"last_linear": "logits"},
    parts=tuple(
        (part, names | {"se_module.fc1": "squeeze_conv", "se_module.fc2": "excite_conv"})
        for part, names in RESNET.parts
    ),
    padding="caffe",
)
# Checked once against timm 1.0.31, whose answers differ by 1.3e-6; too large for a test.
SENET = dataclasses.replace(
    SE_RESNET,
    names=units(
        (r"layer0\.conv1", r"layer0\.bn1", "stem_layer0"),
        (r"layer0\.conv2", r"layer0\.bn2", "stem_layer1"),
        (r"layer0\.conv3", r"layer0\.bn3", "stem_layer2"),
    )
    | {"last_linear": "logits"},
)
