"""The phases of training: a head on a frozen body, then the upper blocks, or all from scratch."""

from __future__ import annotations

import time

import keras

from edgecnn import zoo
from edgecnn.core.checkpoint import Epoch, Phase
from edgecnn.core.errors import unknown
from edgecnn.training.auxiliary import with_auxiliary
from edgecnn.training.compress import Compression
from edgecnn.training.course import Course, pooled_of
from edgecnn.training.folded import fold, unfold
from edgecnn.training.kernels import chosen, kernels_of
from edgecnn.training.loop import Lesson, Progress, Schedule, fit
from edgecnn.training.loss import Distillation
from edgecnn.training.precision import in_half
from edgecnn.training.recipe import Recipe
from edgecnn.training.views import Features


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
    features = Features(course, course.pooled, "head")
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
        lesson = Features(course, lower, "tune").lesson()
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
