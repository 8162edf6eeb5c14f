"""What a phase learns from, and its batches: prepared ahead, on all cores, always the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from edgecnn.training.features import Change
from edgecnn.training.work import Array


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Lecture:
    """What a teacher says about the photos of a lesson.

    Attributes:
        inputs: From an epoch's number (from 0) to [N, ...]: the teacher's logits, or the
            photos as it sees them.
        answer: From photos that were changed as the lesson's are to logits [n, classes],
            float32; None where the inputs are logits already.
    """

    inputs: Callable[[int], Array]
    answer: Callable[[Array], Array] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Lesson:
    """What one phase learns from.

    Attributes:
        inputs: From an epoch's number (from 0) to [N, ...], photos or features.
        labels: [N] integers.
        weights: [N] float32, each photo's weight in the loss; 1 on average.
        val_inputs: [M, ...], never augmented.
        val_labels: [M] integers.
        change: Augmentation of the inputs on the fly; None where they are cached features.
        lecture: A teacher's answers to the same photos.
    """

    inputs: Callable[[int], Array]
    labels: Array
    weights: Array
    val_inputs: Array
    val_labels: Array
    change: Change | None = None
    lecture: Lecture | None = None


def batches(
    lesson: Lesson, *, epoch: int, batch: int, seed: Sequence[int]
) -> Iterator[tuple[Any, ...]]:
    """Yield inputs, labels, weights, a seed [2] and, with a teacher, its logits [n, classes].

    Args:
        lesson: Its photos come once each, but for those that fill no batch.
        epoch: From 0.
        batch: Photos of each batch.
        seed: All randomness of the epoch grows from it.
    """
    steps = len(lesson.labels) // batch
    order = np.random.default_rng(seed).permutation(len(lesson.labels))
    seeds = np.random.default_rng([*seed, 1]).integers(0, 2**31, (steps, 2))
    lecture = lesson.lecture
    columns = [lesson.inputs(epoch), lesson.labels, lesson.weights]
    if lecture is not None:
        columns.append(lecture.inputs(epoch))

    def gather(step: Any) -> tuple[Array, ...]:
        rows = order[step * batch : (step + 1) * batch]
        return seeds[step], *[column[rows] for column in columns]

    kinds = [seeds.dtype, *[column.dtype for column in columns]]
    shapes = [(2,), *[(batch, *column.shape[1:]) for column in columns]]

    def prepare(step: Any) -> tuple[Any, ...]:
        values = tf.numpy_function(gather, [step], kinds)
        for value, shape in zip(values, shapes, strict=True):
            value.set_shape(shape)
        number, inputs, labels, weights, *taught = values
        if lesson.change is not None:
            inputs = lesson.change(inputs, number)
        if lecture is not None and lecture.answer is not None:
            taught = [_ask(lecture.answer, lesson.change, taught[0], number)]
        return inputs, labels, weights, number, *taught

    dataset = tf.data.Dataset.range(steps)
    dataset = dataset.map(prepare, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)
    yield from dataset.with_options(_untuned())


def _untuned() -> tf.data.Options:
    """Return options without TensorFlow's tuner: its thread can hold up the end of an epoch."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return options


def _ask(answer: Callable[[Array], Array], change: Change | None, photos: Any, seed: Any) -> Any:
    """Return the teacher's logits of photos to which the seed does what it does to the lesson's."""
    if change is not None:
        photos = change(photos, seed)
    logits = tf.numpy_function(answer, [photos], tf.float32)
    logits.set_shape((photos.shape[0], None))
    return logits
