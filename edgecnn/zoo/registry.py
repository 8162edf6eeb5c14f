"""All architectures on one screen, and the three calls that make a network of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import keras
from keras import layers

from edgecnn.core.errors import InputError, unknown
from edgecnn.core.image import Filter, Preprocessing, Resize
from edgecnn.zoo.blocks import Tensor
from edgecnn.zoo.ds_cnn import ds_cnn
from edgecnn.zoo.efficientnet_lite import efficientnet_lite0
from edgecnn.zoo.mobilenet_v2 import mobilenet_v2
from edgecnn.zoo.xception import xception

INPUT_LAYER = "image"
NORMALIZE_LAYER = "normalize"
LOGITS_LAYER = "logits"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Architecture:
    """One kind of body.

    Attributes:
        build: Normalized pixels and alpha to features.
        normalization: (scale, offset) that turns pixels 0..255 into what `build` takes.
        default_size: Side of the square input that its published weights were made for.
        min_size: Smallest side that it works with.
        has_alpha: Whether it comes in several widths.
        filter: Interpolation that its published weights were made for.
        crop: Central share of a photo that its published weights were made for.
        sources: Values of ``--weights`` besides a file.
    """

    build: Callable[[Tensor, float], Tensor]
    normalization: tuple[float, float]
    default_size: int = 224
    min_size: int = 32
    has_alpha: bool = False
    filter: Filter = "bilinear"
    crop: float = 1.0
    sources: tuple[str, ...] = ("imagenet", "none")

    def preprocessing(
        self, size: int | None = None, *, resize: Resize = "cover", channels: int = 3
    ) -> Preprocessing:
        """Return how photos are prepared for this body; size None is the default one."""
        side = size or self.default_size
        return Preprocessing(
            height=side,
            width=side,
            channels=channels,
            resize=resize,
            filter=self.filter,
            crop=self.crop if resize == "cover" else 1.0,
        )


_MINUS_ONE_TO_ONE = (1 / 127.5, -1.0)

ARCHITECTURES: dict[str, Architecture] = {
    "ds_cnn": Architecture(
        build=ds_cnn,
        normalization=_MINUS_ONE_TO_ONE,
        default_size=96,
        has_alpha=True,
        sources=("none",),
    ),
    "efficientnet_lite0": Architecture(
        build=efficientnet_lite0,
        normalization=(1 / 128, -127 / 128),
        filter="bicubic",
        crop=0.875,
    ),
    "mobilenet_v2": Architecture(
        build=mobilenet_v2, normalization=_MINUS_ONE_TO_ONE, has_alpha=True
    ),
    "xception": Architecture(
        build=xception, normalization=_MINUS_ONE_TO_ONE, default_size=299, min_size=71
    ),
}


def find(name: str) -> Architecture:
    """Return an architecture.

    Raises:
        InputError: there is none of that name; the nearest one is offered.
    """
    if name not in ARCHITECTURES:
        raise unknown("architecture", name, ARCHITECTURES, where="--arch")
    return ARCHITECTURES[name]


def build(name: str, *, shape: tuple[int, int, int], alpha: float = 1.0) -> keras.Model:
    """Make a body with random weights: pixels to features, one flat functional graph.

    Args:
        name: A key of `ARCHITECTURES`.
        shape: Height, width and channels of the pixels, which are float32 0..255.
        alpha: Multiple of the paper's channels.

    Raises:
        InputError: no such architecture, or one that has no such size or alpha.
    """
    architecture = find(name)
    if min(shape[:2]) < architecture.min_size:
        raise InputError(
            f"an input of {shape[0]}x{shape[1]} pixels",
            where=name,
            fix=f"use --size {architecture.min_size} or more",
        )
    if not (0.1 <= alpha <= 2.0 if architecture.has_alpha else alpha == 1.0):
        fix = "use 0.1 to 2.0" if architecture.has_alpha else "it comes with --alpha 1.0 only"
        raise InputError(f"alpha {alpha}", where=name, fix=fix)
    image = keras.Input(shape, name=INPUT_LAYER)
    scale, offset = architecture.normalization
    pixels = layers.Rescaling(scale, offset, name=NORMALIZE_LAYER)(image)
    return keras.Model(image, architecture.build(pixels, alpha), name=name)


def attach_head(body: keras.Model, classes: int, *, dropout: float = 0.2) -> keras.Model:
    """Put a classifier on a body; the new model shares the body's layers.

    Returns:
        [N, H, W, C] pixels 0..255 to [N, classes] probabilities, float32.
    """
    x = layers.GlobalAveragePooling2D(name="pool")(body.output)
    x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.Dense(classes, name=LOGITS_LAYER)(x)
    # float32 whatever the policy: probabilities of a thousand classes underflow in less.
    x = layers.Softmax(name="probabilities", dtype="float32")(x)
    return keras.Model(body.input, x, name=body.name)
