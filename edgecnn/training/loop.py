"""The training loop: compiled steps, a cosine schedule, averaged weights, exact resumption.

The order of the photos, the dropout and the augmentation are functions of (seed, phase,
epoch, step) alone, so that a run that was killed continues to the same result.
"""

from __future__ import annotations

import dataclasses
import time
import zlib
from typing import Any

import tensorflow as tf  # isort: skip - before keras, or the converter fails later
import keras
import numpy as np

from edgecnn.core.checkpoint import Epoch
from edgecnn.core.progress import Advance, bar
from edgecnn.training.auxiliary import LOSS_WEIGHT
from edgecnn.training.compress import Compression
from edgecnn.training.lesson import Lesson, batches
from edgecnn.training.loss import Distillation, Targets, loss_of, mix
from edgecnn.training.network import Network
from edgecnn.training.precision import scaled
from edgecnn.training.work import Array, WorkFolder

_WARM_UP = 0.1  # share of the steps in which the learning rate rises
_SAVE_SHARE = 0.05  # of the time at most goes into saving the state
_VALIDATION_BATCH = 64
_DISTILLATION = Distillation(weight=0.5, temperature=4.0)

__all__ = ["Lesson", "Progress", "Schedule", "fit"]


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
    distillation: Distillation = _DISTILLATION

    def seed_of(self, epoch: int) -> list[int]:
        """Return what all randomness of an epoch grows from."""
        return [self.seed, zlib.crc32(self.name.encode()), epoch]


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
    network: Network,
    schedule: Schedule,
    lesson: Lesson,
    work: WorkFolder,
    *,
    started: float,
    compression: Compression | None = None,
) -> Progress:
    """Train one phase and leave the best averaged weights in the network.

    Continues from the work folder's state of the phase where there is one.

    Args:
        network: Its weights are the start.
        schedule: How to train.
        lesson: On what.
        work: Where the state is kept.
        started: `time.perf_counter` at the phase's beginning.
        compression: What some of the weights are held to; None: to nothing.
    """
    trainer = _Trainer(network, schedule, lesson, compression or Compression())
    trainer.restore(work.load_state(schedule.name))
    progress = trainer.progress
    earlier, saved_at, save_cost = progress.seconds, time.perf_counter(), 0.0
    if not progress.epoch:
        trainer.judge(network.values())
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
    def __init__(
        self, network: Network, schedule: Schedule, lesson: Lesson, compression: Compression
    ) -> None:
        self.network, self.schedule, self.lesson = network, schedule, lesson
        self.compression = compression
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
            "compression": [v.numpy() for v in self.compression.variables],
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
            (self.compression.variables, "compression"),
        ):
            for variable, value in zip(variables, _group(arrays, name), strict=True):
                variable.assign(value)

    def run_epoch(self, advance: Advance) -> bool:
        """Train on each photo once and validate the averaged weights; True at the phase's end."""
        epoch = self.progress.epoch
        loss, right, started = 0.0, 0.0, time.perf_counter()
        parts = batches(
            self.lesson, epoch=epoch, batch=self.batch, seed=self.schedule.seed_of(epoch)
        )
        for step, part in enumerate(parts, 1):
            self.compression.advance(self._share_done(epoch * self.steps + step - 1))
            step_loss, step_right = self._step(*part)
            loss, right = loss + float(step_loss), right + float(step_right)
            speed = step * self.batch / (time.perf_counter() - started)
            note = f"loss {loss / step:.3f}, top-1 {right / step:.3f}, {speed:.0f} images/s"
            advance(1, note=note)
        self.progress.epoch += 1
        val_loss, val_top1 = self.judge([v.numpy() for v in self._average])
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
        return self.progress.done

    def judge(self, values: list[Array]) -> tuple[float, float]:
        """Return the val loss and top-1 of some weights, and keep them if they are the best."""
        current = self.network.values()
        self.network.assign(self.compression.compressed(self.network.weights, values))
        val_loss, val_top1 = self.validate()
        if self.compression.is_complete(self._share_done(self.progress.epoch * self.steps)):
            self.consider(val_loss, val_top1)
        self.network.assign(current)
        return val_loss, val_top1

    def _share_done(self, step: int) -> float:
        return step / max(1, self.schedule.epochs * self.steps)

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

    def _learn(
        self, inputs: Any, labels: Any, weights: Any, seed: Any, taught: Any = None
    ) -> tuple[Any, Any]:
        how, targets = self.schedule.distillation, self._targets(labels, taught)
        if self.schedule.mixup:
            inputs, targets = mix(inputs, targets, self.schedule.mixup, seed)
        free = self.compression.hold()
        with tf.GradientTape() as tape:
            logits, *auxiliary = self.network.learn(inputs, seed)
            loss, *others = [loss_of(targets, one, weights, how) for one in (logits, *auxiliary)]
            total = self._optimizer.scale_loss(loss + LOSS_WEIGHT * sum(others))
        gradients = tape.gradient(total, self.network.trainable)
        self.compression.release(free)
        self._optimizer.apply(gradients, self.network.trainable)
        self.compression.settle(free)
        steps = tf.cast(self._optimizer.iterations, tf.float32)
        keep = tf.minimum(self.schedule.ema, (1.0 + steps) / (10.0 + steps))
        for average, weight in zip(self._average, self.network.weights, strict=True):
            average.assign_add((weight - average) * (1.0 - keep))
        return loss, tf.reduce_mean(_right(logits, labels))

    def _targets(self, labels: Any, taught: Any) -> Targets:
        classes, smoothing = self.network.classes, self.schedule.label_smoothing
        hard = tf.one_hot(labels, classes) * (1.0 - smoothing) + smoothing / classes
        soft = None if taught is None else self.schedule.distillation.soft(taught)
        return Targets(hard=hard, soft=soft)

    def _validate_batch(self, inputs: Any, labels: Any) -> tuple[Any, Any]:
        logits = self.network.answer(inputs)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        return tf.reduce_sum(losses), tf.reduce_sum(_right(logits, labels))


def _right(logits: Any, labels: Any) -> Any:
    return tf.cast(tf.argmax(logits, axis=1, output_type=labels.dtype) == labels, tf.float32)


def _group(arrays: dict[str, Array], name: str) -> list[Array]:
    count = sum(key.startswith(f"{name}.") for key in arrays)
    return [arrays[f"{name}.{index}"] for index in range(count)]
