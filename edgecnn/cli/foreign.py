"""The options of `export` for a model that was not trained here: what its file doesn't say."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.cli.parser import WHERE, Parser, number, one_of
from edgecnn.core.errors import InputError

if TYPE_CHECKING:
    from edgecnn.core.foreign import Kind
    from edgecnn.core.normalization import Normalization
    from edgecnn.export.foreign import Model

Numbers = tuple[float, ...]

# Of ImageNet's training photos, R, G, B on the scale 0..1, as torchvision and timm use them.
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_OWN = ("normalize", "mean", "std", "scale", "offset", "crop", "labels", "output", "size")


def foreign_options(parser: Parser) -> None:
    """Add the options that a foreign model needs."""
    add = parser.add_argument_group(
        "a model that was not trained here (.keras, .h5, .onnx, SavedModel)"
    ).add_argument
    add(
        "--normalize",
        type=one_of("normalization", "imagenet", "[-1,1]", "[0,1]", "none"),
        metavar="HOW",
        help="what the model wants of pixels 0..255: [-1,1], [0,1], imagenet (ImageNet's mean "
        "and deviation, as torchvision has it) or none (raw pixels)",
    )
    add(
        "--mean",
        type=_numbers,
        metavar="LIST",
        help="instead: (pixel - mean) / std, one number or one a channel in the model's order; "
        "numbers above 1 are on the scale 0..255",
    )
    add("--std", type=_numbers, metavar="LIST", help="see --mean (default: 1)")
    add("--scale", type=_numbers, metavar="LIST", help="instead: pixel * scale + offset")
    add("--offset", type=_numbers, metavar="LIST", help="see --scale; write --offset=-1")
    add(
        "--resize",
        type=one_of("policy", "cover", "squash", "letterbox"),
        metavar="HOW",
        help="how a photo becomes the model's pixels: cover (fill and crop, default), squash or "
        "letterbox",
    )
    add("--crop", type=number(0.01, 1), metavar="SHARE", help="central share kept (default: 1)")
    add(
        "--channels",
        type=one_of("order", "rgb", "bgr"),
        metavar="ORDER",
        help="rgb (default), or bgr for models that came from Caffe or OpenCV",
    )
    add("--labels", type=Path, metavar="FILE", help="names of the classes, one a line")
    add(
        "--output",
        type=one_of("output", "logits", "probabilities"),
        metavar="WHAT",
        help="what the model gives (default: what its last operation says)",
    )
    add("--size", type=_size, metavar="HxW", help="of its pixels, where the model leaves it open")


def foreign_model(args: argparse.Namespace, kind: Kind) -> Model:
    """Return what the options say of a foreign model.

    Raises:
        InputError: two ways to normalize.
    """
    from edgecnn.export.foreign import Model

    return Model(
        path=args.checkpoint,
        kind=kind,
        normalization=_normalization(args),
        is_bgr=args.channels == "bgr",
        resize=args.resize or "cover",
        crop=args.crop or 1.0,
        labels=args.labels,
        answer=args.output,
        size=args.size,
    )


def refuse_foreign_options(args: argparse.Namespace) -> None:
    """Refuse what a checkpoint's card already says.

    Raises:
        InputError: the first such option that is given.
    """
    for name in (*_OWN, "resize", "channels"):
        if getattr(args, name) is not None:
            raise InputError(
                f"--{name} for a checkpoint, whose card says it",
                where=WHERE,
                fix=f"leave --{name} out, or name a model file",
            )


def _normalization(args: argparse.Namespace) -> Normalization | None:
    ways: dict[str, Callable[[], Normalization]] = {
        "--normalize": lambda: _preset(args.normalize),
        "--mean and --std": lambda: _from_mean(args.mean or (0.0,), args.std or (1.0,)),
        "--scale and --offset": lambda: _spread(args.scale or (1.0,), args.offset or (0.0,)),
    }
    given = [
        name
        for name in ways
        if any(getattr(args, part.strip("-")) is not None for part in name.split(" and "))
    ]
    if len(given) > 1:
        raise InputError(f"both {given[0]} and {given[1]}", where=WHERE, fix="give one of them")
    return ways[given[0]]() if given else None


def _preset(name: str) -> Normalization:
    from edgecnn.core.normalization import same_for_all

    if name == "imagenet":
        return _from_mean(_IMAGENET_MEAN, _IMAGENET_STD)
    scale, offset = {"[-1,1]": (1 / 127.5, -1.0), "[0,1]": (1 / 255, 0.0), "none": (1.0, 0.0)}[name]
    return same_for_all(scale, offset)


def _from_mean(mean: Numbers, std: Numbers) -> Normalization:
    from edgecnn.core.normalization import Normalization

    unit = 1.0 if max(*mean, *std) > 1 else 255.0
    if min(std) <= 0:
        raise InputError("a deviation that is not above zero", where="--std", fix="check it")
    mean, std = _alike(mean, std)
    return Normalization(
        tuple(1 / (unit * s) for s in std), tuple(-m / s for m, s in zip(mean, std, strict=True))
    )


def _spread(scale: Numbers, offset: Numbers) -> Normalization:
    from edgecnn.core.normalization import Normalization

    if min(scale) <= 0:
        raise InputError("a scale that is not above zero", where="--scale", fix="check it")
    return Normalization(*_alike(scale, offset))


def _alike(first: Numbers, second: Numbers) -> tuple[Numbers, Numbers]:
    """Repeat a single number for all the channels of the other."""
    count = max(len(first), len(second))
    if {len(first), len(second)} - {1, count}:
        raise InputError(
            f"{len(first)} and {len(second)} numbers", where=WHERE, fix="give as many of both"
        )
    return first * (count // len(first)), second * (count // len(second))


def _numbers(text: str) -> Numbers:
    values = tuple(float(part) for part in text.split(","))
    if not all(map(math.isfinite, values)):
        raise argparse.ArgumentTypeError(f"{text} is not finite")
    return values


_numbers.__name__ = "list of numbers"


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    size = int(height), int(width or height)
    if not all(8 <= side <= 4096 for side in size):
        raise argparse.ArgumentTypeError(f"{text} is not within 8..4096")
    return size


_size.__name__ = "size"
