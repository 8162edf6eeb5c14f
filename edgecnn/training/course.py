"""All that the phases of one training share."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import keras

from edgecnn.training.augment import Augment
from edgecnn.training.features import Change, compiled
from edgecnn.training.lesson import Lecture, Lesson
from edgecnn.training.network import Network
from edgecnn.training.photos import Photos
from edgecnn.training.recipe import Recipe
from edgecnn.training.teacher import Taught
from edgecnn.training.work import Array, WorkFolder


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Course:
    """All that the phases share.

    Attributes:
        model: The whole classifier; its weights change from phase to phase.
        weights: [N] float32, each training photo's weight in the loss.
        flip: Whether photos may be mirrored.
        taught: A teacher with the training photos as it sees them, or None.
    """

    recipe: Recipe
    model: keras.Model
    train: Photos
    val: Photos
    weights: Array
    flip: bool
    work: WorkFolder
    taught: Taught | None = None

    @functools.cached_property
    def pooled(self) -> keras.Model:
        """From photos to what the logits are made of: the classifier without its last layer."""
        return pooled_of(self.model)

    @property
    def change(self) -> Change | None:
        """The recipe's augmentation."""
        strength = self.recipe.augment
        return None if strength == "none" else compiled(Augment(strength, flip=self.flip))

    def network(self, body: keras.Model | None) -> Network:
        """Return the layers from ``body`` on, as they learn in this course."""
        return Network(
            body,
            self.model.get_layer("logits"),
            dropout=self.recipe.dropout,
            learn_statistics=self.recipe.from_scratch,
        )

    def lesson(
        self,
        inputs: Callable[[int], Array],
        val_inputs: Array,
        *,
        change: Change | None = None,
        lecture: Lecture | None = None,
    ) -> Lesson:
        """Return a lesson with this course's labels."""
        return Lesson(
            inputs=inputs,
            labels=self.train.labels,
            weights=self.weights,
            val_inputs=val_inputs,
            val_labels=self.val.labels,
            change=change,
            lecture=lecture,
        )

    def photo_lesson(self) -> Lesson:
        """Return a lesson on photos that are augmented ahead of each step."""
        taught, photos, lecture = self.taught, self.train.pixels, None
        if taught is not None:
            seen = taught.pixels
            lecture = Lecture(inputs=lambda _epoch: seen, answer=taught.teacher.logits)
        return self.lesson(
            lambda _epoch: photos, self.val.pixels, change=self.change, lecture=lecture
        )


def pooled_of(model: keras.Model) -> keras.Model:
    """Return a classifier without its last layer."""
    return keras.Model(model.input, model.get_layer("dropout").input)
