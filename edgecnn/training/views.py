"""Cached features of the frozen layers: of each photo as it is, or of changed views of it."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import keras

from edgecnn.core.progress import say
from edgecnn.training.course import Course
from edgecnn.training.features import FrozenPart, extract
from edgecnn.training.lesson import Lecture, Lesson
from edgecnn.training.photos import Photos
from edgecnn.training.teacher import Taught
from edgecnn.training.work import Array

# Features of more than this are not cached: fewer views of each photo do for many photos.
_CACHE_LIMIT_BYTES = 16_000_000_000


class Features:
    """Cached outputs of the frozen layers below a cut."""

    def __init__(self, course: Course, lower: keras.Model, name: str) -> None:
        self._course, self._name = course, name
        self._shape: tuple[int, ...] = tuple(lower.output_shape[1:])
        self._part = functools.cache(lambda: FrozenPart(lower))

    def clean(self, part: str, photos: Photos) -> Array:
        """Return features of photos as they are."""
        name = f"{self._name}-{part}"
        chunks = extract(self._part, photos.pixels, label=f"features, {part}")
        return self._course.work.array(name, self._shape, "float16", chunks)

    def lesson(self) -> Lesson:
        """Return a lesson whose inputs are view after view of the training photos."""
        views, val = self.views(), self.clean("val", self._course.val)
        return self._course.lesson(
            lambda epoch: self.view(epoch % views),
            val,
            lecture=self.lecture(lambda epoch: epoch % views),
        )

    def views(self) -> int:
        """Return how many views of each training photo there are."""
        recipe = self._course.recipe
        wanted = 1 if recipe.augment == "none" else min(recipe.views, recipe.tune_epochs)
        view_bytes = 2 * math.prod(self._shape) * len(self._course.train.labels)
        affordable = max(1, _CACHE_LIMIT_BYTES // view_bytes)
        if affordable < wanted:
            say(f"{affordable} views of each photo instead of {wanted}: the cache would be large")
        return min(wanted, affordable)

    def view(self, view: int) -> Array:
        """Return features of the training photos, changed by the augmentation's draw."""
        course = self._course
        chunks = extract(
            self._part,
            course.train.pixels,
            label=f"features, view {view + 1}",
            change=course.change,
            seed=self._seed(view),
        )
        return course.work.array(f"{self._name}-view{view}", self._shape, "float16", chunks)

    def lecture(self, view: Callable[[int], int | None]) -> Lecture | None:
        """Return the teacher's answers to the photos of each epoch's view; None without one.

        Args:
            view: From an epoch's number (from 0) to its view; None: photos as they are.
        """
        taught = self._course.taught
        if taught is None:
            return None
        return Lecture(inputs=lambda epoch: self._answers(taught, view(epoch)))

    def _answers(self, taught: Taught, view: int | None) -> Array:
        """Return the teacher's logits [N, classes] of a view of the training photos."""
        course, teacher = self._course, taught.teacher
        label = "teacher" if view is None else f"teacher, view {view + 1}"
        chunks = extract(
            lambda: teacher.part,
            taught.pixels,
            label=label,
            change=None if view is None else course.change,
            seed=0 if view is None else self._seed(view),
        )
        answers = (chunk[:, teacher.order] for chunk in chunks)
        name = f"{self._name}-teacher{'' if view is None else view}"
        return course.work.array(name, (len(teacher.order),), "float32", answers)

    def _seed(self, view: int) -> int:
        return self._course.recipe.seed * 100_003 + view
