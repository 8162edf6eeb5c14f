"""A trained classifier whose answers another one learns.

It sees each photo as the student does: decoded again with its own preprocessing, and changed
by the same draw of the augmentation, for a teacher that answers another picture misleads
(Beyer et al. 2022, arXiv:2106.05237).
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence

import keras
import numpy as np

from edgecnn import zoo
from edgecnn.core.checkpoint import Checkpoint, DataManifest, Origin
from edgecnn.core.errors import InputError
from edgecnn.core.image import Preprocessing
from edgecnn.core.progress import say
from edgecnn.training.features import FrozenPart
from edgecnn.training.photos import Photos
from edgecnn.training.work import Array


class Teacher:
    """A checkpoint's network up to its logits, run as a converted graph."""

    def __init__(self, checkpoint: Checkpoint, classes: Sequence[str]) -> None:
        """Open a checkpoint.

        Args:
            checkpoint: The teacher's.
            classes: The student's; their order is that of the logits.

        Raises:
            InputError: a damaged checkpoint, or one of other classes.
        """
        self.origin: Origin = checkpoint.origin
        self.preprocessing: Preprocessing = checkpoint.card.preprocessing
        self.order: list[int] = same_classes(checkpoint, classes)
        model = zoo.restore(checkpoint)
        self.part = FrozenPart(keras.Model(model.input, model.get_layer("logits").output))
        self._lock = threading.Lock()

    def logits(self, photos: Array) -> Array:
        """Return logits [n, classes], float32, of photos [n, H, W, C], 0..255; any thread may."""
        with self._lock:
            return self.part.run(photos)[:, self.order]


@dataclasses.dataclass(frozen=True, eq=False)
class Taught:
    """A teacher, and the training photos as it sees them.

    Attributes:
        pixels: [N, H, W, C] uint8, in the order of the student's photos.
    """

    teacher: Teacher
    pixels: Array

    def __post_init__(self) -> None:
        if self.pixels.shape[1:] != self.teacher.preprocessing.shape:
            raise ValueError(f"photos of {self.pixels.shape[1:]} for another teacher")


def same_classes(checkpoint: Checkpoint, classes: Sequence[str]) -> list[int]:
    """Return the place of each class in a checkpoint that knows the same ones.

    Raises:
        InputError: it knows others.
    """
    known = checkpoint.card.classes
    if set(known) != set(classes):
        more, fewer = set(known) - set(classes), set(classes) - set(known)
        named = f"has {min(more)!r}" if more else f"lacks {min(fewer)!r}"
        raise InputError(
            f"other classes than the photos' {len(classes)} (it {named})",
            where=checkpoint.path,
            fix="give a checkpoint that was trained on the same classes",
        )
    return [known.index(name) for name in classes]


def warn_of_leaks(teacher: Checkpoint, student: DataManifest) -> None:
    """Say so where the teacher has learned from photos that will judge the student."""
    theirs = teacher.card.data
    if theirs is None or theirs.fingerprint != student.fingerprint:
        return
    if (theirs.seed, theirs.split) != (student.seed, student.split):
        shares = "/".join(f"{share:g}" for share in theirs.split or ())
        say(
            "note: the teacher has learned from some of the photos that judge this run; "
            f"--seed {theirs.seed} --split {shares} shares them out as its run did"
        )


def require_same_photos(seen: Photos, taught: Photos, *, where: str) -> None:
    """Refuse photos of which some could be read for one network and not for the other.

    Raises:
        InputError: they are not the same.
    """
    if not np.array_equal(seen.labels, taught.labels):
        raise InputError("photos that changed meanwhile", where=where, fix="start the run anew")
