"""Which photos set the ranges of an export and which judge its files."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath
from typing import Any, Literal, TypeAlias

import numpy.typing as npt

from edgecnn import data
from edgecnn.core.artifact import Calibration, CalibrationPoint
from edgecnn.core.checkpoint import Card
from edgecnn.core.errors import InputError
from edgecnn.data import Example, Skipped

Array: TypeAlias = npt.NDArray[Any]

Count: TypeAlias = int | Literal["auto"]

MOST = 1024
"""Photos beyond which "auto" doesn't go."""

# Enough to see a damaged file; `verify` judges on more.
_MAX_JUDGED = 1000
# Without labelled photos this share of the calibration photos judges instead of calibrating;
# so does it, up to a limit, where counts of calibration photos are compared.
_KEPT_ASIDE = 0.2
_MAX_ASIDE = 256


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which photos of a source calibrate.

    Attributes:
        count: How many; "auto" for `MOST`.
        seed: Of their draw.
        compare_counts: Keep others aside, on which to compare fewer of them with more.
    """

    count: Count
    seed: int
    compare_counts: bool = False

    @property
    def most(self) -> int:
        """The number of calibration photos at most."""
        return MOST if self.count == "auto" else self.count


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Photos:
    """The photos of one export.

    Attributes:
        card: Of the checkpoint; its preprocessing applies.
        calibrating: They set int8's ranges; empty when none are wanted. Each beginning of
            them is a fair sample of the classes.
        calibration: Their manifest.
        judging: They judge each file against the checkpoint.
        split: The part that these are: "val", or "calibration" when kept aside from there
            (then their labels don't count).
        aside: They compare counts of calibration photos; of the same source, but others.
        prepared: [N, H, W, C] uint8, the calibration photos; None where they are too large to
            be kept in memory and are read anew each time.
        remarks: What is to be said about the photos, a line each.
    """

    card: Card
    calibrating: tuple[Example, ...]
    calibration: Calibration | None
    judging: tuple[Example, ...]
    split: str
    aside: tuple[Example, ...] = ()
    prepared: Array | None = None
    remarks: tuple[str, ...] = ()

    def pixels(self) -> Iterator[Array]:
        """Yield the calibration photos, [1, H, W, C] uint8 each, anew at each call."""
        if self.prepared is not None:
            yield from self.prepared[:, None]
            return
        for batch in data.Reader(self.calibrating, self.card.preprocessing):
            yield from batch.pixels[:, None]

    def first(self, count: int) -> Photos:
        """Return the same with fewer calibration photos.

        Raises:
            ValueError: there are no calibration photos.
        """
        if self.calibration is None:
            raise ValueError("no calibration photos to take the first of")
        chosen = self.calibrating[:count]
        note = data.calibration_note(chosen, seed=self.calibration.seed)
        return dataclasses.replace(
            self,
            calibrating=chosen,
            calibration=dataclasses.replace(note, skipped=self.calibration.skipped),
            prepared=None if self.prepared is None else self.prepared[:count],
        )

    def with_curve(self, points: Iterable[CalibrationPoint]) -> Photos:
        """Return the same with what other counts of photos gave in its manifest."""
        note = self.calibration and dataclasses.replace(self.calibration, curve=tuple(points))
        return dataclasses.replace(self, calibration=note)

    def warnings(self) -> tuple[str, ...]:
        """Return what makes these calibration photos poor ones, a line each."""
        if not self.calibrating:
            return ()
        labels = [example.label for example in self.calibrating]
        return (*data.coverage_warnings(labels, self.card.classes), *self.remarks)


def choose_photos(card: Card, *, source: str | None, wanted: Wanted | None) -> Photos:
    """Choose the photos of an export.

    Args:
        card: Of the checkpoint.
        source: DATA to calibrate with; the training part of the checkpoint's data when None.
        wanted: Which of them calibrate; None when no scheme needs any.

    Raises:
        InputError: calibration photos are wanted, and there are none; see also `share_out`.
    """
    labelled = _labelled(card)
    if wanted is None:
        return Photos(
            card=card, calibrating=(), calibration=None, judging=tuple(labelled), split="val"
        )
    pool, where = _calibration_pool(card, source)
    photos = share_out(card, pool, wanted, where=where, judged_elsewhere=bool(labelled))
    if labelled:
        return dataclasses.replace(photos, judging=tuple(labelled), split="val")
    return photos


def share_out(
    card: Card,
    pool: Sequence[Example],
    wanted: Wanted,
    *,
    where: str,
    judged_elsewhere: bool = False,
) -> Photos:
    """Share photos out to those that calibrate and those that judge, after decoding them once.

    Args:
        card: Of the network; its preprocessing applies.
        pool: The photos, labelled with indices of the card's classes, or -1.
        wanted: How many of them calibrate.
        where: Their place, for errors.
        judged_elsewhere: No photos need be left for judging.

    Raises:
        InputError: none can be read, there is nothing to be seen on them, or they are too few
            to keep some aside.
    """
    share = round(len(pool) * _KEPT_ASIDE)
    aside = min(share, _MAX_ASIDE) if wanted.compare_counts else 0
    if wanted.compare_counts and not aside:
        raise InputError(
            f"too few photos ({len(pool)}) to compare counts with",
            where=where,
            fix="give more of them, or --calibration-count a number",
        )
    spared = aside if judged_elsewhere else share
    most = min(wanted.most, len(pool) - spared)
    judging = 0 if judged_elsewhere else _MAX_JUDGED
    drawn = data.draw_calibration(
        pool, card.preprocessing, count=most + aside + judging, kept=most, seed=wanted.seed
    )
    data.refuse_blank(drawn.contents, where=where)
    readable = len(drawn.examples)
    most = min(most, readable - min(spared, round(readable * _KEPT_ASIDE)))
    chosen, others = drawn.examples[:most], drawn.examples[most:]
    note = data.calibration_note(chosen, seed=wanted.seed)
    return Photos(
        card=card,
        calibrating=chosen,
        calibration=dataclasses.replace(note, skipped=len(drawn.skipped)),
        judging=others[aside:] or others or chosen,
        split="calibration",
        aside=others[:aside],
        prepared=None if drawn.pixels is None else drawn.pixels[:most],
        remarks=(*drawn.contents.warnings(), *_skipped(drawn.skipped)),
    )


def _skipped(photos: Sequence[Skipped]) -> Iterator[str]:
    """Yield how many photos could not be read; a path stays on the machine where it is one."""
    if photos:
        first = PurePath(photos[0].path).name
        yield f"{len(photos)} photos could not be read (as {first}): others stand in for them"


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


def _calibration_pool(card: Card, source: str | None) -> tuple[list[Example], str]:
    """Return the photos to draw from, and where they are."""
    if source is not None:
        return data.examples_for(source, card.classes, card.data, split="all")[0], source
    fix = "add --calibration PHOTOS (one photo a class is enough)"
    if card.data is None:
        raise InputError("no training photos to calibrate with", where=card.name, fix=fix)
    place = card.data.source
    try:
        return data.examples_for(place, card.classes, card.data, split="train")[0], place
    except InputError as error:
        raise InputError(
            f"the training photos are gone ({error.what})", where=place, fix=fix
        ) from error
