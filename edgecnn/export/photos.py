"""Which photos set the ranges of an export and which judge its files."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy.typing as npt

from edgecnn import data
from edgecnn.core.artifact import Calibration
from edgecnn.core.checkpoint import Card
from edgecnn.core.errors import InputError
from edgecnn.data import Example

Array: TypeAlias = npt.NDArray[Any]

# Enough to see a damaged file; `verify` judges on more.
_MAX_JUDGED = 1000
# Without labelled photos this share of the calibration photos judges instead of calibrating.
_KEPT_ASIDE = 0.2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Photos:
    """The photos of one export.

    Attributes:
        card: Of the checkpoint; its preprocessing applies.
        calibrating: They set int8's ranges; empty when none are wanted.
        calibration: Their manifest.
        judging: They judge each file against the checkpoint.
        split: The part that these are: "val", or "calibration" when kept aside from there
            (then their labels don't count).
    """

    card: Card
    calibrating: tuple[Example, ...]
    calibration: Calibration | None
    judging: tuple[Example, ...]
    split: str

    def pixels(self) -> Iterator[Array]:
        """Yield the calibration photos, [1, H, W, C] uint8 each, read anew at each call."""
        for batch in data.Reader(self.calibrating, self.card.preprocessing):
            yield from batch.pixels[:, None]


def choose_photos(card: Card, *, source: str | None, count: int, seed: int) -> Photos:
    """Choose the photos of an export.

    Args:
        card: Of the checkpoint.
        source: DATA to calibrate with; the training part of the checkpoint's data when None.
        count: Calibration photos; 0 when no scheme needs any.
        seed: Of their draw.

    Raises:
        InputError: calibration photos are wanted, and there are none.
    """
    judging, split = _labelled(card), "val"
    calibrating: Sequence[Example] = ()
    calibration = None
    if count:
        pool = _calibration_pool(card, source)
        aside = 0 if judging else round(len(pool) * _KEPT_ASIDE)
        calibrating, calibration = data.calibration_photos(
            pool, count=min(count, len(pool) - aside), seed=seed
        )
        if not judging:
            names = {example.name for example in calibrating}
            spare = [example for example in pool if example.name not in names]
            judging, split = (spare or list(calibrating))[:_MAX_JUDGED], "calibration"
    return Photos(
        card=card,
        calibrating=tuple(calibrating),
        calibration=calibration,
        judging=tuple(judging),
        split=split,
    )


def _labelled(card: Card) -> list[Example]:
    """Return the validation photos, none where they have moved or never were."""
    if card.data is None:
        return []
    try:
        return data.examples_for(
            card.data.source, card.classes, card.data, split="val", limit=_MAX_JUDGED
        )[0]
    except InputError:
        return []


def _calibration_pool(card: Card, source: str | None) -> list[Example]:
    if source is not None:
        return data.examples_for(source, card.classes, card.data, split="all")[0]
    fix = "add --calibration PHOTOS (one photo a class is enough)"
    if card.data is None:
        raise InputError("no training photos to calibrate with", where=card.name, fix=fix)
    try:
        return data.examples_for(card.data.source, card.classes, card.data, split="train")[0]
    except InputError as error:
        raise InputError(
            f"the training photos are gone ({error.what})", where=card.data.source, fix=fix
        ) from error
