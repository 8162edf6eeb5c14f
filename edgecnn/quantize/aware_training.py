"""Quantization-aware training: a plan's weights, biases and ranges learn to live with rounding.

The network learns from its own float answers, so photos need no labels; where there are
labels, they help. Batch norm is folded before, so there are no statistics to keep.

Sources: Jacob et al. 2018, arXiv:1712.05877, section 3, for training what the integer file
computes; Hinton et al. 2015, arXiv:1503.02531, for answers as a target.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import tensorflow as tf  # isort: skip - before keras, or the converter fails later
import keras
import numpy as np
import numpy.typing as npt

from edgecnn.core.errors import InputError
from edgecnn.core.progress import Advance, bar
from edgecnn.quantize.plan import Plan
from edgecnn.quantize.simulation import Simulation

Array: TypeAlias = npt.NDArray[Any]

_WARM_UP = 0.1  # share of the steps in which the learning rate rises
_NO_LABEL = -1
_LEAST_PHOTOS = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class AwareTraining:
    """How long and how boldly to train.

    Attributes:
        epochs: Passes over the photos.
        rate: Highest learning rate of AdamW, in the variables' units: a weight's step, five
            steps of a layer's output (for its bias), a hundredth of an activation's scale.
        batch: Photos in a step.
        weight_decay: Of AdamW, on weights.
        label_share: Of the loss, for photos that have a label; the rest is the float answers'.
        kept_aside: Share of the photos that choose the best epoch instead of training.
        seed: Of the order of photos and of those kept aside.
    """

    epochs: int = 6
    # Measured: ten times more shakes weights over thresholds faster than biases gain.
    rate: float = 0.005
    batch: int = 32
    weight_decay: float = 0.0
    label_share: float = 0.2
    kept_aside: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"{name} {getattr(self, name)}",
                    where="quantization-aware training",
                    fix="give one or more",
                )
        for name in ("label_share", "kept_aside"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(
                    f"{name} {getattr(self, name)}",
                    where="quantization-aware training",
                    fix="give a share from 0 to below 1",
                )


def train_aware(
    float_file: bytes,
    plan: Plan,
    inputs: Iterable[Array],
    *,
    labels: Iterable[int] | None = None,
    settings: AwareTraining | None = None,
) -> Plan:
    """Return the plan after some epochs, with new grids, integers and biases; or the same one.

    The epoch with the lowest loss on photos kept aside is kept, and the plan as it came
    where that gained no more than chance gives: on forty photos one epoch always looks well.

    Args:
        float_file: The float32 TFLite file that the plan was made on.
        plan: What to start from.
        inputs: Photos, [1, H, W, C] float32 each, as the file's input wants them; they are
            held in memory, a byte a value.
        labels: Their classes, in the same order; None trains on the float answers alone.
        settings: How to train.

    Raises:
        InputError: too few photos, one that is not a number, labels that don't match, or an
            operation that can't be trained through.
    """
    settings = settings or AwareTraining()
    simulation = Simulation(float_file, plan)
    photos = _integers(plan, inputs)
    lesson = _Lesson(plan, photos, _labels(labels, len(photos)))
    return _Trainer(simulation, lesson, settings).run()


def _integers(plan: Plan, inputs: Iterable[Array]) -> Array:
    """Return the photos as the integer file takes them, [N, H, W, C] int8."""
    grid = plan.tensors[plan.input].grid
    rows = []
    for number, value in enumerate(inputs):
        if not np.isfinite(value).all():
            raise InputError(
                "holds values that are no numbers",
                where=f"photo {number} of quantization-aware training",
                fix="leave it out",
            )
        steps = np.rint((value + plan.input_shift) / grid.scale + grid.zero_point)
        rows.append(steps.clip(-128, 127).astype(np.int8))
    if len(rows) < _LEAST_PHOTOS:
        raise InputError(
            f"{len(rows)} photos",
            where="quantization-aware training",
            fix=f"give {_LEAST_PHOTOS} or more; hundreds are better",
        )
    return np.concatenate(rows)


def _labels(labels: Iterable[int] | None, count: int) -> Array:
    if labels is None:
        return np.full(count, _NO_LABEL, np.int32)
    found = np.asarray(list(labels), np.int32)
    if len(found) != count:
        raise InputError(
            f"{len(found)} labels for {count} photos",
            where="quantization-aware training",
            fix="give one a photo, or none at all",
        )
    return found


@dataclasses.dataclass(frozen=True, eq=False)
class _Lesson:
    """Photos in integers, and what they show.

    Attributes:
        plan: Its input's grid says what the integers mean.
        photos: [N, H, W, C] int8.
        labels: [N], -1 where unknown.
    """

    plan: Plan
    photos: Array
    labels: Array

    def real(self, integers: Any) -> Any:
        """Return the true values of integers: what the float file sees."""
        grid = self.plan.tensors[self.plan.input].grid
        steps = tf.cast(integers, tf.float32) - grid.zero_point
        return steps * grid.scale - self.plan.input_shift


@dataclasses.dataclass(frozen=True, eq=False)
class _Judged:
    """What some state does on the photos kept aside.

    Attributes:
        losses: [N], each photo's.
        agreement: Share of answers like the float network's, 0..1.
    """

    losses: Array
    agreement: float

    def surely_better_than(self, other: _Judged) -> bool:
        """Tell whether the mean gain is above twice its standard error."""
        gains = other.losses - self.losses
        return bool(gains.mean() > 2 * gains.std() / np.sqrt(len(gains)))


class _Trainer:
    def __init__(self, simulation: Simulation, lesson: _Lesson, settings: AwareTraining) -> None:
        self._simulation, self._lesson, self._settings = simulation, lesson, settings
        order = np.random.default_rng(settings.seed).permutation(len(lesson.photos))
        aside = min(max(1, round(settings.kept_aside * len(order))), len(order) - 1)
        self._aside, self._taught = order[:aside], order[aside:]
        self._batch = min(settings.batch, len(self._taught))
        self._steps = len(self._taught) // self._batch
        self._optimizer = self._adam()
        photos = tf.TensorSpec((None, *lesson.photos.shape[1:]), tf.int8)
        labels = tf.TensorSpec((None,), tf.int32)
        self._answer = _compiled(self._float_answer, photos)
        some = self._answer(tf.constant(lesson.photos[:1]))
        targets = [tf.TensorSpec((None, *value.shape[1:]), tf.float32) for value in some]
        self._learn_step = _compiled(self._learn, photos, targets[0], labels)
        self._judge_step = _compiled(self._judge, photos, *targets, labels)
        self._targets = self._float_answers()

    def _adam(self) -> Any:
        settings = self._settings
        total = settings.epochs * self._steps
        rates = keras.optimizers.schedules.CosineDecay(
            0.0,
            decay_steps=max(1, round((1 - _WARM_UP) * total)),
            warmup_target=settings.rate,
            warmup_steps=round(_WARM_UP * total),
        )
        adam = keras.optimizers.AdamW(rates, weight_decay=settings.weight_decay)
        trainable = self._simulation.trainable
        adam.exclude_from_weight_decay(var_list=[v for v in trainable if len(v.shape) < 2])
        adam.build(trainable)
        return adam

    def run(self) -> Plan:
        """Train, and return the best plan: the very one that came where none is surely better."""
        trainable = self._simulation.trainable
        start = best = self._validate()
        best_state: list[Array] = []
        with bar("training with rounding", total=self._settings.epochs * self._steps) as advance:
            for epoch in range(self._settings.epochs):
                self._run_epoch(epoch, advance, best)
                found = self._validate()
                if found.losses.mean() < best.losses.mean():
                    best, best_state = found, [v.numpy() for v in trainable]
        if not best.surely_better_than(start):
            return self._lesson.plan
        for variable, value in zip(trainable, best_state, strict=True):
            variable.assign(value)
        return self._simulation.to_plan()

    def _run_epoch(self, epoch: int, advance: Advance, best: _Judged) -> None:
        total = 0.0
        for step, rows in enumerate(self._batches(epoch), 1):
            inputs, labels = self._lesson.photos[rows], self._lesson.labels[rows]
            total += float(self._learn_step(inputs, self._targets[0][rows], labels))
            advance(1, note=f"loss {total / step:.4f}, best agreement {100 * best.agreement:.1f} %")

    def _batches(self, epoch: int) -> Iterator[Array]:
        order = np.random.default_rng([self._settings.seed, epoch]).permutation(self._taught)
        for step in range(self._steps):
            yield order[step * self._batch : (step + 1) * self._batch]

    def _validate(self) -> _Judged:
        found = []
        for start in range(0, len(self._aside), self._batch):
            rows = self._aside[start : start + self._batch]
            targets = (target[rows] for target in self._targets)
            found.append(
                self._judge_step(self._lesson.photos[rows], *targets, self._lesson.labels[rows])
            )
        same, losses = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return _Judged(losses.astype(np.float64), float(same.mean()))

    def _float_answers(self) -> tuple[Array, ...]:
        photos = self._lesson.photos
        starts = range(0, len(photos), self._batch)
        parts = [self._answer(photos[start : start + self._batch]) for start in starts]
        return tuple(np.concatenate([p.numpy() for p in part]) for part in zip(*parts, strict=True))

    def _float_answer(self, integers: Any) -> tuple[Any, Any]:
        graph = self._simulation.graph
        values = graph(self._lesson.real(integers))
        return values[graph.scores], values[graph.output]

    def _learn(self, integers: Any, scores: Any, labels: Any) -> Any:
        trainable = [variable.value for variable in self._simulation.trainable]
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(self._losses(self._simulation(integers)[0], scores, labels))
        gradients = tape.gradient(loss, trainable, unconnected_gradients="zero")
        self._optimizer.apply(gradients, self._simulation.trainable)
        return loss

    def _judge(self, integers: Any, scores: Any, output: Any, labels: Any) -> tuple[Any, Any]:
        found, answers = self._simulation(integers)
        same = tf.argmax(answers, -1) == tf.argmax(output, -1)
        photos = tf.reduce_mean(tf.reshape(tf.cast(same, tf.float32), (_count(same), -1)), 1)
        losses = self._losses(found, scores, labels)
        return photos, losses

    def _losses(self, found: Any, scores: Any, labels: Any) -> Any:
        """Return each photo's loss, [N]."""
        graph = self._simulation.graph
        if graph.scores == graph.output:
            difference = tf.math.squared_difference(found, scores) / tf.math.reduce_variance(scores)
            return tf.reduce_mean(tf.reshape(difference, (_count(found), -1)), 1)
        log = tf.nn.log_softmax(found)
        target = tf.nn.log_softmax(scores)
        divergence = tf.reduce_sum(tf.exp(target) * (target - log), -1)
        divergence = tf.reduce_mean(tf.reshape(divergence, (_count(found), -1)), 1)
        if len(found.shape) > 2:
            return divergence
        share = self._settings.label_share * tf.cast(labels != _NO_LABEL, tf.float32)
        right = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(labels, 0), found)
        return (1 - share) * divergence + share * right


def _compiled(function: Any, *signature: Any) -> Any:
    return tf.function(function, input_signature=signature, autograph=False)


def _count(tensor: Any) -> Any:
    """Return the size of a batch, also of one that is not known yet."""
    return tf.shape(tensor)[0]
