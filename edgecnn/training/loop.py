"""The training loop: compiled steps, a cosine schedule, averaged weights, exact resumption.

The order of the photos, the dropout and the augmentation are functions of (seed, phase,
epoch, step) alone, so that a run that was killed continues to the same result.
"""

from __future__ import annotations

import dataclasses
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf  # isort: skip - before keras, or the converter fails later
import keras
import numpy as np

from edgecnn.core.checkpoint import Epoch
from edgecnn.core.progress import Advance, bar
from edgecnn.training.auxiliary import LOSS_WEIGHT
from edgecnn.training.features import Change
from edgecnn.training.network import Network
from edgecnn.training.precision import scaled
from edgecnn.training.work import Array, WorkFolder

_WARM_UP = 0.1  # share of the steps in which the learning rate rises
_SAVE_SHARE = 0.05  # of the time at most goes into saving the state
_VALIDATION_BATCH = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class Schedule:
    """How one phase learns; see `Recipe` for the meaning of each number."""

    name: str
    epochs: int
    rate: float
    batch: int
    weight_decay: float
    ema: float
    label_smoothing: float
    mixup: float
    patience: int
    seed: int
    mixed_precision: bool = False

    def seed_of(self, epoch: int) -> list[int]:
        """Return what all randomness of an epoch grows from."""
        return [self.seed, zlib.crc32(self.name.encode()), epoch]


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
    """

    inputs: Callable[[int], Array]
    labels: Array
    weights: Array
    val_inputs: Array
    val_labels: Array
    change: Change | None = None


@dataclasses.dataclass
class Progress:
    """Where a phase stands; everything but weights."""

    epoch: int = 0
    seconds: float = 0.0
    best_loss: float = float("inf")
    best_top1: float = 0.0
    best_epoch: int = 0
    done: bool = False
    history: list[Epoch] = dataclasses.field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Progress:
        """Rebuild from plain data."""
        return cls(**{**data, "history": [Epoch(**row) for row in data["history"]]})


def fit(
    network: Network, schedule: Schedule, lesson: Lesson, work: WorkFolder, *, started: float
) -> Progress:
    """Train one phase and leave the best averaged weights in the network.

    Continues from the work folder's state of the phase where there is one.

    Args:
        network: Its weights are the start.
        schedule: How to train.
        lesson: On what.
        work: Where the state is kept.
        started: `time.perf_counter` at the phase's beginning.
    """
    trainer = _Trainer(network, schedule, lesson)
    trainer.restore(work.load_state(schedule.name))
    progress = trainer.progress
    earlier, saved_at, save_cost = progress.seconds, time.perf_counter(), 0.0
    if not progress.epoch:
        trainer.consider(*trainer.validate())
    with bar(schedule.name, total=schedule.epochs * trainer.steps) as advance:
        advance(progress.epoch * trainer.steps)
        done = progress.done
        while not done:
            done = trainer.run_epoch(advance)
            now = time.perf_counter()
            progress.seconds = earlier + now - started
            if done or save_cost <= _SAVE_SHARE * (now - saved_at):
                work.save_state(schedule.name, trainer.state(), progress.to_json())
                saved_at = time.perf_counter()
                save_cost = saved_at - now
    network.assign(trainer.best)
    return progress


class _Trainer:
    def __init__(self, network: Network, schedule: Schedule, lesson: Lesson) -> None:
        self.network, self.schedule, self.lesson = network, schedule, lesson
        self.batch = min(schedule.batch, len(lesson.labels))
        self.steps = len(lesson.labels) // self.batch
        self.progress = Progress()
        self.best = network.values()
        total = max(1, schedule.epochs * self.steps)
        rates = keras.optimizers.schedules.CosineDecay(
            0.0,
            decay_steps=max(1, round((1 - _WARM_UP) * total)),
            warmup_target=schedule.rate,
            warmup_steps=round(_WARM_UP * total),
        )
        self._rates = rates
        adam = keras.optimizers.AdamW(rates, weight_decay=schedule.weight_decay)
        adam.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        self._optimizer = scaled(adam) if schedule.mixed_precision else adam
        self._optimizer.build(network.trainable)
        self._average = [tf.Variable(value, trainable=False) for value in network.values()]
        self._step = tf.function(self._learn, autograph=False)
        self._judge = tf.function(self._validate_batch, autograph=False, reduce_retracing=True)

    def state(self) -> dict[str, Array]:
        """Return every number that the rest of the phase depends on."""
        groups = {
            "weights": self.network.values(),
            "average": [v.numpy() for v in self._average],
            "optimizer": [v.numpy() for v in self._optimizer.variables],
            "best": self.best,
        }
        return {f"{k}.{i}": value for k, values in groups.items() for i, value in enumerate(values)}

    def restore(self, saved: tuple[dict[str, Array], Any] | None) -> None:
        """Take over a state; None leaves the beginning as it is."""
        if saved is None:
            return
        arrays, facts = saved
        self.progress = Progress.from_json(facts)
        self.network.assign(_group(arrays, "weights"))
        self.best = _group(arrays, "best")
        for variables, name in (
            (self._average, "average"),
            (self._optimizer.variables, "optimizer"),
        ):
            for variable, value in zip(variables, _group(arrays, name), strict=True):
                variable.assign(value)

    def run_epoch(self, advance: Advance) -> bool:
        """Train on each photo once and validate the averaged weights; True at the phase's end."""
        epoch = self.progress.epoch
        loss, right, started = 0.0, 0.0, time.perf_counter()
        for step, (inputs, labels, weights, seed) in enumerate(self._batches(epoch), 1):
            step_loss, step_right = self._step(inputs, labels, weights, seed)
            loss, right = loss + float(step_loss), right + float(step_right)
            speed = step * self.batch / (time.perf_counter() - started)
            note = f"loss {loss / step:.3f}, top-1 {right / step:.3f}, {speed:.0f} images/s"
            advance(1, note=note)
        current = self.network.values()
        self.network.assign([v.numpy() for v in self._average])
        val_loss, val_top1 = self.validate()
        self.progress.epoch += 1
        self.progress.history.append(
            Epoch(
                phase=self.schedule.name,
                epoch=self.progress.epoch,
                learning_rate=float(self._rates(self._optimizer.iterations)),
                loss=loss / self.steps,
                top1=right / self.steps,
                val_loss=val_loss,
                val_top1=val_top1,
            )
        )
        self.consider(val_loss, val_top1)
        self.network.assign(current)
        return self.progress.done

    def consider(self, val_loss: float, val_top1: float) -> None:
        """Keep the network's present weights if they are the best; end the phase in time.

        Best is the lowest loss: on a few hundred photos top-1 wanders by a point or two and
        would pick an early, lucky epoch.
        """
        progress = self.progress
        if val_loss < progress.best_loss:
            progress.best_loss, progress.best_top1 = val_loss, val_top1
            progress.best_epoch = progress.epoch
            self.best = self.network.values()
        stale = progress.epoch - progress.best_epoch
        progress.done = progress.epoch >= self.schedule.epochs or stale >= self.schedule.patience

    def validate(self) -> tuple[float, float]:
        """Return mean cross-entropy and top-1 of the network's present weights."""
        inputs, labels = self.lesson.val_inputs, self.lesson.val_labels
        totals = np.zeros(2)
        for start in range(0, len(labels), _VALIDATION_BATCH):
            rows = slice(start, start + _VALIDATION_BATCH)
            sums = self._judge(tf.constant(inputs[rows]), tf.constant(labels[rows]))
            totals += [float(value) for value in sums]
        loss, top1 = totals / len(labels)
        return float(loss), float(top1)

    def _batches(self, epoch: int) -> Iterator[tuple[Any, Any, Any, Any]]:
        """Yield inputs, labels, weights and a seed, prepared ahead of training on all cores."""
        lesson, batch = self.lesson, self.batch
        inputs = lesson.inputs(epoch)
        base = self.schedule.seed_of(epoch)
        order = np.random.default_rng(base).permutation(len(lesson.labels))
        seeds = np.random.default_rng([*base, 1]).integers(0, 2**31, (self.steps, 2))

        def gather(step: Any) -> tuple[Array, Array, Array, Array]:
            rows = order[step * batch : (step + 1) * batch]
            return inputs[rows], lesson.labels[rows], lesson.weights[rows], seeds[step]

        kinds = [inputs.dtype, lesson.labels.dtype, lesson.weights.dtype, seeds.dtype]
        shapes = [(batch, *inputs.shape[1:]), (batch,), (batch,), (2,)]

        def prepare(step: Any) -> tuple[Any, ...]:
            values = tf.numpy_function(gather, [step], kinds)
            for value, shape in zip(values, shapes, strict=True):
                value.set_shape(shape)
            pixels, labels, weights, seed = values
            if lesson.change is not None:
                pixels = lesson.change(pixels, seed)
            return pixels, labels, weights, seed

        steps = tf.data.Dataset.range(self.steps)
        yield from steps.map(prepare, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)

    def _learn(self, inputs: Any, labels: Any, weights: Any, seed: Any) -> tuple[Any, Any]:
        targets = self._targets(labels)
        if self.schedule.mixup:
            inputs, targets = _mix(inputs, targets, self.schedule.mixup, seed)
        with tf.GradientTape() as tape:
            logits, *auxiliary = self.network.learn(inputs, seed)
            loss, *others = [_loss(targets, one, weights) for one in (logits, *auxiliary)]
            total = self._optimizer.scale_loss(loss + LOSS_WEIGHT * sum(others))
        gradients = tape.gradient(total, self.network.trainable)
        self._optimizer.apply(gradients, self.network.trainable)
        steps = tf.cast(self._optimizer.iterations, tf.float32)
        keep = tf.minimum(self.schedule.ema, (1.0 + steps) / (10.0 + steps))
        for average, weight in zip(self._average, self.network.weights, strict=True):
            average.assign_add((weight - average) * (1.0 - keep))
        return loss, tf.reduce_mean(_right(logits, labels))

    def _targets(self, labels: Any) -> Any:
        classes, smoothing = self.network.classes, self.schedule.label_smoothing
        return tf.one_hot(labels, classes) * (1.0 - smoothing) + smoothing / classes

    def _validate_batch(self, inputs: Any, labels: Any) -> tuple[Any, Any]:
        logits = self.network.answer(inputs)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        return tf.reduce_sum(losses), tf.reduce_sum(_right(logits, labels))


def _loss(targets: Any, logits: Any, weights: Any) -> Any:
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, logits) * weights)


def _right(logits: Any, labels: Any) -> Any:
    return tf.cast(tf.argmax(logits, axis=1, output_type=labels.dtype) == labels, tf.float32)


def _mix(inputs: Any, targets: Any, alpha: float, seed: Any) -> tuple[Any, Any]:
    """Mix each row with its neighbour (Zhang et al. 2017, arXiv:1710.09412)."""
    inputs = tf.cast(inputs, tf.float32)
    draws = tf.random.stateless_gamma((2, tf.shape(inputs)[0]), seed, alpha)
    share = tf.math.divide_no_nan(draws[0], draws[0] + draws[1])
    share = tf.maximum(share, 1.0 - share)
    wide = tf.reshape(share, [-1] + [1] * (len(inputs.shape) - 1))
    narrow = share[:, None]
    mixed = wide * inputs + (1.0 - wide) * tf.roll(inputs, 1, axis=0)
    return mixed, narrow * targets + (1.0 - narrow) * tf.roll(targets, 1, axis=0)


def _group(arrays: dict[str, Array], name: str) -> list[Array]:
    count = sum(key.startswith(f"{name}.") for key in arrays)
    return [arrays[f"{name}.{index}"] for index in range(count)]
