"""The photos that calibrate and judge a foreign model: any folder of photos will do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn import data
from edgecnn.core.checkpoint import Card
from edgecnn.core.errors import InputError
from edgecnn.core.image import EXTENSIONS
from edgecnn.data import Example
from edgecnn.export.photos import Photos

# This share of the photos judges instead of calibrating, but no more than so many.
_KEPT_ASIDE, _MAX_JUDGED = 0.2, 1000


def choose_photos(
    card: Card, *, source: str | None, count: int, seed: int, needs_ranges: bool
) -> Photos:
    """Share the photos of DATA out; what they show need not be among the model's classes.

    Args:
        card: Of the model; its preprocessing applies.
        source: DATA, or a folder of photos without class folders; None: no photos.
        count: Photos that set the ranges.
        seed: Of their draw.
        needs_ranges: Whether a file is to be written that needs them.

    Raises:
        InputError: photos are needed, and there are none.
    """
    if source is None and needs_ranges:
        raise InputError(
            "int8 needs photos such as the model will see",
            where=card.name,
            fix="add --calibration PHOTOS (a folder; a hundred are enough)",
        )
    pool = _photos(source) if source is not None else []
    drawn: Sequence[Example] = ()
    calibration = None
    if pool and needs_ranges:
        aside = min(max(round(len(pool) * _KEPT_ASIDE), 1), _MAX_JUDGED)
        drawn, calibration = data.calibration_photos(
            pool, count=min(count, max(len(pool) - aside, 1)), seed=seed
        )
    names = {example.name for example in drawn}
    spare = [example for example in pool if example.name not in names]
    return Photos(
        card=card,
        calibrating=tuple(drawn),
        calibration=calibration,
        judging=tuple((spare or list(drawn))[:_MAX_JUDGED]),
        split="calibration",
    )


def _photos(source: str) -> list[Example]:
    folder = Path(source)
    if folder.is_dir():
        loose = sorted(p for p in folder.iterdir() if p.suffix.lower() in EXTENSIONS)
        if loose:
            return [Example(photo.name, 0, photo) for photo in loose]
    return list(data.open_data(source).examples)
