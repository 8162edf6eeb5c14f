"""Inception-v4: Szegedy et al. 2016, arXiv:1602.07261, figures 3 to 9."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from keras import layers

from edgecnn.zoo.blocks import Tensor


class _Conv(NamedTuple):
    channels: int
    kernel: int | tuple[int, int] = 1
    stride: int = 1
    padding: str = "same"


# A branch is a chain of steps; a module is branches side by side, and may be a step itself.
_Pool: TypeAlias = Literal["average", "shrink"]
_Step: TypeAlias = "_Conv | _Pool | _Module"
_Branch: TypeAlias = "tuple[_Step, ...]"
_Module: TypeAlias = "list[_Branch]"

_STEM: _Branch = (
    _Conv(32, 3, 2, "valid"),
    _Conv(32, 3, 1, "valid"),
    _Conv(64, 3),
    [("shrink",), (_Conv(96, 3, 2, "valid"),)],
    [
        (_Conv(64), _Conv(96, 3, 1, "valid")),
        (_Conv(64), _Conv(64, (1, 7)), _Conv(64, (7, 1)), _Conv(96, 3, 1, "valid")),
    ],
    [(_Conv(192, 3, 2, "valid"),), ("shrink",)],
)
_A: _Module = [
    (_Conv(96),),
    (_Conv(64), _Conv(96, 3)),
    (_Conv(64), _Conv(96, 3), _Conv(96, 3)),
    ("average", _Conv(96)),
]
_SHRINK_A: _Module = [
    (_Conv(384, 3, 2, "valid"),),
    (_Conv(192), _Conv(224, 3), _Conv(256, 3, 2, "valid")),
    ("shrink",),
]
_B: _Module = [
    (_Conv(384),),
    (_Conv(192), _Conv(224, (1, 7)), _Conv(256, (7, 1))),
    (
        _Conv(192),
        _Conv(192, (7, 1)),
        _Conv(224, (1, 7)),
        _Conv(224, (7, 1)),
        _Conv(256, (1, 7)),
    ),
    ("average", _Conv(128)),
]
_SHRINK_B: _Module = [
    (_Conv(192), _Conv(192, 3, 2, "valid")),
    (_Conv(256), _Conv(256, (1, 7)), _Conv(320, (7, 1)), _Conv(320, 3, 2, "valid")),
    ("shrink",),
]
_FORK: _Module = [(_Conv(256, (1, 3)),), (_Conv(256, (3, 1)),)]
_C: _Module = [
    (_Conv(256),),
    (_Conv(384), _FORK),
    (_Conv(384), _Conv(448, (3, 1)), _Conv(512, (1, 3)), _FORK),
    ("average", _Conv(256)),
]
_STAGES = ((_A, 4), (_SHRINK_A, 1), (_B, 7), (_SHRINK_B, 1), (_C, 3))


def inception_v4(x: Tensor) -> Tensor:
    """[N, 299, 299, 3] to [N, 8, 8, 1536]."""
    x = _chain(x, _STEM, "stem")
    for stage, (module, repeats) in enumerate(_STAGES):
        for block in range(repeats):
            x = _side_by_side(x, module, f"stage{stage}_block{block}")
    return x


def _side_by_side(x: Tensor, module: _Module, name: str) -> Tensor:
    """Run each branch on the same input; their channels follow each other."""
    ways = [_chain(x, branch, f"{name}_branch{index}") for index, branch in enumerate(module)]
    return layers.Concatenate(name=f"{name}_concat")(ways)


def _chain(x: Tensor, branch: _Branch, name: str) -> Tensor:
    for index, step in enumerate(branch):
        x = _step(x, step, f"{name}_step{index}")
    return x


def _step(x: Tensor, step: _Step, name: str) -> Tensor:
    match step:
        case _Conv():
            return _conv_bn(x, step, name)
        case "average":
            return layers.AveragePooling2D(3, 1, padding="same", name=f"{name}_pool")(x)
        case "shrink":
            return layers.MaxPooling2D(3, 2, name=f"{name}_pool")(x)
        case _:
            return _side_by_side(x, step, name)


def _conv_bn(x: Tensor, step: _Conv, name: str) -> Tensor:
    x = layers.Conv2D(
        step.channels,
        step.kernel,
        step.stride,
        padding=step.padding,
        use_bias=False,
        name=f"{name}_conv",
    )(x)
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)
