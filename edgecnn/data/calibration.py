"""The photos that set the ranges of an integer model."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn.core.artifact import Calibration
from edgecnn.core.errors import InputError
from edgecnn.core.image import Preprocessing
from edgecnn.data.calibration_warnings import Contents
from edgecnn.data.example import Example
from edgecnn.data.reader import Reader, Skipped
from edgecnn.data.split import interleaved

Array: TypeAlias = npt.NDArray[Any]

KEPT_BYTES = 64_000_000
"""Prepared photos up to this size stay in memory: each further pass would decode them again."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drawn:
    """Calibration photos that can be read.

    Attributes:
        examples: The photos, in an order of which each beginning is a fair sample.
        contents: What was on them.
        pixels: [N, H, W, C] uint8, of the first; none where they would take too much memory.
        skipped: Photos that were passed over, unreadable.
    """

    examples: tuple[Example, ...]
    contents: Contents
    pixels: Array | None
    skipped: tuple[Skipped, ...]


def calibration_photos(
    examples: Sequence[Example], *, count: int, seed: int
) -> tuple[list[Example], Calibration]:
    """Draw photos, every class among them where ``count`` allows, and note which.

    The draw depends on the photos' contents and the seed alone, and a larger count adds
    to a smaller one. Whether they can be read is not looked at; see `draw_calibration`.

    Raises:
        ValueError: there is no photo, or a count below one.
    """
    if count < 1 or not examples:
        raise ValueError("at least one calibration photo is needed")
    chosen = interleaved(examples, seed=seed)[:count]
    return chosen, calibration_note(chosen, seed=seed)


def calibration_note(chosen: Sequence[Example], *, seed: int) -> Calibration:
    """Return what a file says about its calibration; the hash is over the sorted contents."""
    digests = "\n".join(sorted(example.digest for example in chosen))
    name = hashlib.sha256(digests.encode()).hexdigest()
    return Calibration(n=len(chosen), seed=seed, hash=name)


def draw_calibration(
    pool: Sequence[Example],
    how: Preprocessing,
    *,
    count: int,
    seed: int,
    kept: int | None = None,
) -> Drawn:
    """Draw photos and decode them once; the next ones replace those that can't be read.

    Each class has its share of them and at least one where the count allows.

    Args:
        pool: Photos to draw from.
        how: The network's preprocessing.
        count: Photos wanted; fewer come where there are no more.
        seed: Of the draw.
        kept: The pixels of so many of them are wanted; of all by default.

    Raises:
        InputError: not one photo can be read.
        ValueError: no photo, or a count below one.
    """
    if count < 1 or not pool:
        raise ValueError("at least one calibration photo is needed")
    order = interleaved(pool, seed=seed)
    reader = Reader(order, how, batch=min(count, 32), tolerated=1.0)
    kept = min(count if kept is None else kept, len(pool))
    room = kept * int(np.prod(how.shape)) <= KEPT_BYTES
    contents, chosen, parts = Contents(), list[Example](), list[Array]()
    for batch in reader:
        pixels = batch.pixels[: count - len(chosen)]
        if room and len(chosen) < kept:
            parts.append(pixels[: kept - len(chosen)])
        chosen += [order[index] for index in batch.indices[: len(pixels)]]
        contents.add(pixels)
        if len(chosen) == count:
            break
    return Drawn(
        examples=tuple(chosen),
        contents=contents,
        pixels=np.concatenate(parts) if room else None,
        skipped=tuple(reader.skipped),
    )


def refuse_blank(contents: Contents, *, where: str) -> None:
    """Refuse photos that show nothing: any range would fit them.

    Raises:
        InputError: each photo is black, or of one colour.
    """
    if what := contents.nothing():
        raise InputError(
            what, where=where, fix="calibrate with photos such as the camera will take"
        )
