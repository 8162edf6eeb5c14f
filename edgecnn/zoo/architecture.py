"""What the zoo knows about a kind of network before it is built."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TypeAlias

from edgecnn.core.image import Filter, Preprocessing, Resize
from edgecnn.core.normalization import Normalization, same_for_all
from edgecnn.zoo.blocks import Tensor, pooled

Body: TypeAlias = Callable[[Tensor, float], Tensor]
Head: TypeAlias = Callable[[Tensor, float], Tensor]

MINUS_ONE_TO_ONE = same_for_all(1 / 127.5, -1.0)
# ImageNet's mean and deviation of a channel, of pixels 0..1: torchvision's and timm's weights
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
IMAGENET_STATISTICS = Normalization(
    tuple(1 / (255 * deviation) for deviation in _DEVIATION),
    tuple(-mean / deviation for mean, deviation in zip(_MEAN, _DEVIATION, strict=True)),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Architecture:
    """One kind of network: a body, and what comes between it and the logits.

    Attributes:
        body: Normalized pixels [N, H, W, C] and alpha to features [N, h, w, F].
        head: Features and the share that dropout leaves out to a vector [N, V]; dropout and
            logits follow.
        normalization: What turns pixels 0..255 into what the body takes, unless the weights
            ask for another one.
        default_size: Side of the square input that its published weights were made for.
        min_size: Smallest side that it works with.
        has_alpha: Whether it comes in several widths.
        filter: Interpolation that its published weights were made for.
        crop: Central share of a photo that its published weights were made for.
        auxiliary: Layers whose outputs get a classifier of their own while training.
        bgr_weights: Whether published weights want blue first: their first kernel's input
            channels turn round on the way in, and pixels stay RGB.
    """

    body: Body
    head: Head = pooled
    normalization: Normalization = MINUS_ONE_TO_ONE
    default_size: int = 224
    min_size: int = 32
    has_alpha: bool = False
    filter: Filter = "bilinear"
    crop: float = 1.0
    auxiliary: tuple[str, ...] = ()
    bgr_weights: bool = False

    def preprocessing(
        self, size: int | None = None, *, resize: Resize = "cover", channels: int = 3
    ) -> Preprocessing:
        """Return how photos are prepared for this network; size None is the default one."""
        side = size or self.default_size
        return Preprocessing(
            height=side,
            width=side,
            channels=channels,
            resize=resize,
            filter=self.filter,
            crop=self.crop if resize == "cover" else 1.0,
        )


def one_width(body: Callable[[Tensor], Tensor]) -> Body:
    """Return a body that ignores alpha, for a family that comes in one width."""
    return lambda x, _alpha: body(x)
