"""One part of the photos, decoded once and kept as pixels."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from edgecnn.core.image import Preprocessing
from edgecnn.core.progress import bar
from edgecnn.data import Example, Reader
from edgecnn.training.work import Array, WorkFolder


@dataclasses.dataclass(frozen=True, eq=False)
class Photos:
    """Decoded photos of one part.

    Attributes:
        pixels: [N, H, W, C] uint8, memory-mapped.
        labels: [N] int64.
        skipped: Photos of the part that could not be read.
    """

    pixels: Array
    labels: Array
    skipped: int


def decode_part(
    part: str,
    examples: Sequence[Example],
    how: Preprocessing,
    work: WorkFolder,
    *,
    viewer: str = "",
) -> Photos:
    """Decode the photos of a part, or find them in the work folder.

    Args:
        part: Its name.
        examples: Its photos.
        how: The network's preprocessing.
        work: Where the pixels are kept.
        viewer: Whose eyes these are, where it isn't the network that learns.

    Raises:
        InputError: too many photos can't be read, or the disk is full.
    """
    name = f"{viewer}{part}-pixels"
    labels = work.load_json(name)
    if labels is None:
        work.forget(name)
        labels = []
    pixels = work.array(name, how.shape, "uint8", _decoded(part, examples, how, labels))
    work.save_json(name, labels)
    return Photos(pixels, np.asarray(labels, np.int64), len(examples) - len(labels))


def _decoded(
    part: str, examples: Sequence[Example], how: Preprocessing, labels: list[int]
) -> Iterator[Array]:
    with bar(f"reading {part}", total=len(examples)) as advance:
        for batch in Reader(examples, how, batch=64):
            labels.extend(int(label) for label in batch.labels)
            advance(len(batch.labels))
            yield batch.pixels
