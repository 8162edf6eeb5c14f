"""What tells how a torch zoo names an architecture's layers, and what its weights want.

One table a convention. A name outside the blocks is translated by itself; a block's number
is its place among the file's blocks, and a block's parts are translated by the first table
whose telling part the block has.
"""

from __future__ import annotations

import dataclasses

from edgecnn.core.checkpoint import Padding
from edgecnn.core.normalization import Normalization
from edgecnn.zoo.architecture import IMAGENET_STATISTICS

Parts = dict[str, str]
"""A part's name inside their block to ours; ``/1`` is the second array of our layer."""


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


def units(*pairs: tuple[str, str, str]) -> Parts:
    """Return the names of convolutions with their batch norms: theirs, theirs, ours."""
    names: Parts = {}
    for conv, norm, ours in pairs:
        names |= {conv: f"{ours}_conv", norm: f"{ours}_bn"}
    return names
