"""The photos that calibrate and judge a foreign model: any folder of photos will do."""

from __future__ import annotations

from pathlib import Path

from edgecnn import data
from edgecnn.core.checkpoint import Card
from edgecnn.core.errors import InputError
from edgecnn.core.image import EXTENSIONS
from edgecnn.data import Example
from edgecnn.export.photos import Photos, Wanted, share_out

# Enough to see a damaged file.
_MAX_JUDGED = 1000


def choose_photos(card: Card, *, source: str | None, wanted: Wanted, needs_ranges: bool) -> Photos:
    """Share the photos of DATA out; what they show need not be among the model's classes.

    Args:
        card: Of the model; its preprocessing applies.
        source: DATA, or a folder of photos without class folders; None: no photos.
        wanted: Which of them set the ranges.
        needs_ranges: Whether a file is to be written that needs them.

    Raises:
        InputError: photos are needed, and there are none; see also `share_out`.
    """
    if source is None and needs_ranges:
        raise InputError(
            "int8 needs photos such as the model will see",
            where=card.name,
            fix="add --calibration PHOTOS (a folder; a hundred are enough)",
        )
    pool = _photos(source) if source is not None else []
    if source is not None and pool and needs_ranges:
        return share_out(card, pool, wanted, where=source)
    return Photos(
        card=card,
        calibrating=(),
        calibration=None,
        judging=tuple(pool[:_MAX_JUDGED]),
        split="calibration",
    )


def _photos(source: str) -> list[Example]:
    folder = Path(source)
    if folder.is_dir():
        loose = sorted(p for p in folder.iterdir() if p.suffix.lower() in EXTENSIONS)
        if loose:
            return [Example(photo.name, -1, photo) for photo in loose]
    return [example.relabelled(-1) for example in data.open_data(source).examples]
