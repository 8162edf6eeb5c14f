"""The phases of training: a head on a frozen body, then the upper blocks, or all from scratch."""

from __future__ import annotations

import dataclasses
import functools
import math
import time
from collections.abc import Callable

import keras

from edgecnn import zoo
from edgecnn.core.checkpoint import Epoch, Phase
from edgecnn.core.errors import unknown
from edgecnn.core.progress import say
from edgecnn.training.augment import Augment
from edgecnn.training.auxiliary import with_auxiliary
from edgecnn.training.compress import Compression
from edgecnn.training.features import Change, FrozenPart, compiled, extract
from edgecnn.training.folded import fold, unfold
from edgecnn.training.kernels import chosen, kernels_of
from edgecnn.training.lesson import Lecture
from edgecnn.training.loop import Lesson, Progress, Schedule, fit
from edgecnn.training.loss import Distillation
from edgecnn.training.network import Network
from edgecnn.training.photos import Photos
from edgecnn.training.precision import in_half
from edgecnn.training.recipe import Recipe
from edgecnn.training.teacher import Taught
from edgecnn.training.work import Array, WorkFolder

# Features of more than this are not cached: fewer views of each photo do for many photos.
_CACHE_LIMIT_BYTES = 16_000_000_000


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


def learning_part(model: keras.Model, recipe: Recipe) -> keras.Model:
    """Return the layers through which gradients flow in the recipe's longest phase."""
    pooled = pooled_of(model)
    if not recipe.tune_epochs:
        return keras.Model(model.get_layer("logits").input, model.output)
    cut = None if recipe.from_scratch else cut_of(pooled, recipe)
    return pooled if cut is None else zoo.split(pooled, cut)[1]


def run_phases(course: Course) -> tuple[tuple[Phase, ...], tuple[Epoch, ...]]:
    """Train all phases of the course's recipe; the model's weights are the result."""
    recipe = course.recipe
    phases = []
    if recipe.head_epochs and not recipe.from_scratch:
        phases.append(_head(course))
    if recipe.tune_epochs:
        phases.append(_scratch(course) if recipe.from_scratch else _tune(course))
    history = tuple(epoch for _, progress in phases for epoch in progress.history)
    return tuple(_summary(course, name, progress) for name, progress in phases), history


def _head(course: Course) -> tuple[str, Progress]:
    """Train the classifier on features of the whole frozen body."""
    started = time.perf_counter()
    features = _Features(course, course.pooled, "head")
    train, val = features.clean("train", course.train), features.clean("val", course.val)
    schedule = _schedule(course.recipe, "head", course.recipe.head_epochs, course.recipe.head_rate)
    lesson = course.lesson(lambda _epoch: train, val, lecture=features.lecture(lambda _epoch: None))
    return "head", fit(course.network(None), schedule, lesson, course.work, started=started)


def _tune(course: Course) -> tuple[str, Progress]:
    """Tune the layers after the recipe's cut on features cached there, view by view."""
    started, recipe = time.perf_counter(), course.recipe
    cut = cut_of(course.pooled, recipe)
    if cut is None:
        learning, lesson = course.pooled, course.photo_lesson()
    else:
        lower, learning = zoo.split(course.pooled, cut)
        lesson = _Features(course, lower, "tune").lesson()
    schedule = _schedule(recipe, "tune", recipe.tune_epochs, recipe.tune_rate)
    copy = fold(learning)
    progress = _fit(course, copy, schedule, lesson, started)
    unfold(copy, learning)
    return "tune", progress


def _scratch(course: Course) -> tuple[str, Progress]:
    """Train all layers from random weights."""
    started, recipe = time.perf_counter(), course.recipe
    schedule = _schedule(recipe, "scratch", recipe.tune_epochs, recipe.tune_rate)
    taps, classes = zoo.find(recipe.arch).auxiliary, course.model.get_layer("logits").units
    body = with_auxiliary(course.pooled, taps, classes, seed=recipe.seed)
    return "scratch", _fit(course, body, schedule, course.photo_lesson(), started)


def _fit(
    course: Course, body: keras.Model, schedule: Schedule, lesson: Lesson, started: float
) -> Progress:
    """Train a body, or a copy of it in half precision that gives back what it has learned."""
    learning = in_half(body) if schedule.mixed_precision else body
    progress = fit(
        course.network(learning),
        schedule,
        lesson,
        course.work,
        started=started,
        compression=_compression(course, learning),
    )
    if learning is not body:
        body.set_weights(learning.get_weights())
    return progress


def _compression(course: Course, body: keras.Model) -> Compression:
    """Return what the recipe holds the kernels of a body, and of the classifier, to."""
    recipe = course.recipe
    if not recipe.is_compressing:
        return Compression()
    layers = [*body.layers, course.model.get_layer("logits")]
    kernels = chosen(layers, kernels_of(course.model, recipe.compress))
    return Compression(kernels, sparsity=recipe.prune, clusters=recipe.cluster)


class _Features:
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


def cut_of(pooled: keras.Model, recipe: Recipe) -> str | None:
    """Return the last frozen layer of the tuning phase; None when nothing stays frozen."""
    cuts, wanted = zoo.cut_points(pooled), recipe.tune_from
    if isinstance(wanted, str):
        if wanted not in cuts:
            raise unknown("cut point", wanted, cuts, where="tune_from")
        return wanted
    index = round(wanted * len(cuts)) - 1
    return cuts[index] if index >= 0 else None


def _schedule(recipe: Recipe, name: str, epochs: int, rate: float) -> Schedule:
    return Schedule(
        name=name,
        epochs=epochs,
        rate=rate,
        batch=recipe.batch,
        weight_decay=recipe.weight_decay,
        ema=recipe.ema,
        # A classifier alone has too few weights to grow too sure.
        label_smoothing=0.0 if name == "head" else recipe.label_smoothing,
        mixup=0.0 if name == "head" else recipe.mixup,
        patience=recipe.patience,
        mixed_precision=recipe.mixed_precision and name != "head",
        seed=recipe.seed,
        distillation=Distillation(
            weight=recipe.distill_weight, temperature=recipe.distill_temperature
        ),
    )


def _summary(course: Course, name: str, progress: Progress) -> Phase:
    images = len(course.train.labels) * progress.epoch
    return Phase(
        name=name,
        epochs=progress.epoch,
        seconds=progress.seconds,
        images_per_second=images / max(progress.seconds, 1e-9),
        val_top1=progress.best_top1,
    )
