"""What makes calibration photos poor ones: missing classes, and nothing to be seen on them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]

FEW = 32
"""Below this count many ranges still change by a tenth with each doubling."""

# A photo whose values lie this close together shows one colour; a dark one is black.
_ONE_COLOUR = 8
_BLACK = 16
_BLANK_SHARE = 0.1
_SAME_SHARE = 0.5
# Classes further apart than this in number are told of; ordinary data sets are not.
_UNBALANCED = 10
_NAMED = 3


class Contents:
    """What is on photos that stream past: black ones, blank ones, copies of one another.

    Attributes:
        photos: Number of photos.
        black: Those of them on which all is dark.
        blank: Those of one colour, black ones among them.
    """

    def __init__(self) -> None:
        self.photos = self.black = self.blank = 0
        self._seen: set[bytes] = set()

    def add(self, pixels: Array) -> None:
        """Take in photos, [N, H, W, C] uint8."""
        flat = pixels.reshape(len(pixels), -1, pixels.shape[-1]).astype(np.int16)
        spread = (flat.max(axis=1) - flat.min(axis=1)).max(axis=1)
        dark = flat.max(axis=(1, 2)) <= _BLACK
        self.photos += len(pixels)
        self.black += int(dark.sum())
        self.blank += int((dark | (spread <= _ONE_COLOUR)).sum())
        self._seen.update(hashlib.sha256(photo.tobytes()).digest()[:8] for photo in pixels)

    @property
    def different(self) -> int:
        """Number of photos of which none is a copy of another."""
        return len(self._seen)

    def nothing(self) -> str:
        """Say why there is nothing to be seen on any photo; "" where there is."""
        if self.photos and self.black == self.photos:
            return f"{_photos(self.photos)}, and {_all(self.photos, 'black')}"
        if self.photos and self.blank == self.photos:
            return f"{_photos(self.photos)}, and {_all(self.photos, 'of one colour')}"
        return ""

    def warnings(self) -> Iterator[str]:
        """Yield what to know about the photos, a line each."""
        if self.blank > _BLANK_SHARE * self.photos:
            yield f"{self.blank} of {self.photos} photos are black or of one colour"
        if self.photos > 1 and self.different == 1:
            yield f"all {self.photos} photos are the same"
        elif self.different < _SAME_SHARE * self.photos:
            yield f"only {self.different} of {self.photos} photos differ"


def coverage_warnings(labels: Sequence[int], classes: Sequence[str]) -> Iterator[str]:
    """Yield why the photos are too few for the classes, or cover them badly, a line each.

    Args:
        labels: Class of each photo; -1 where nobody knows it.
        classes: Names.
    """
    if len(labels) < FEW:
        yield f"only {_photos(len(labels))} to calibrate with: take 100 or more"
    counts = Counter(labels)
    if counts.pop(-1, 0) or not counts or len(classes) < 2:
        return
    missing = [name for label, name in enumerate(classes) if not counts[label]]
    if len(classes) > len(labels):
        yield "fewer calibration photos than classes: ranges may be too narrow"
    elif len(missing) == len(classes) - 1:
        yield f"all calibration photos are of one class ({classes[labels[0]]})"
    elif missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        yield f"no calibration photo of {', '.join(missing[:_NAMED])}{more}"
    present = [(count, classes[label]) for label, count in counts.items() if count]
    (fewest, rare), (most, common) = min(present), max(present)
    if most >= _UNBALANCED * fewest and len(labels) >= FEW:
        yield f"calibration photos: {most} of {common}, {fewest} of {rare}"


def _photos(count: int) -> str:
    return "1 photo" if count == 1 else f"{count} photos"


def _all(count: int, what: str) -> str:
    return f"it is {what}" if count == 1 else f"all are {what}"
