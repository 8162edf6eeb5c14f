"""What a step minimizes: the labels' cross-entropy, and beside it a teacher's answers."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf


@dataclasses.dataclass(frozen=True, kw_only=True)
class Distillation:
    """How far a teacher is followed; Hinton et al. 2015, arXiv:1503.02531, section 2.

    Attributes:
        weight: Share of the teacher in the loss, 0..1; the labels have the rest.
        temperature: Divisor of both networks' logits: above 1 the teacher's small
            probabilities, which tell what a photo also looks like, count for more.
    """

    weight: float
    temperature: float

    def soft(self, logits: Any) -> Any:
        """Return the teacher's probabilities at this temperature, [n, classes]."""
        return tf.nn.softmax(logits / self.temperature)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Targets:
    """What the logits of a batch should say.

    Attributes:
        hard: [n, classes], of the labels.
        soft: [n, classes], the teacher's; None without one.
    """

    hard: Any
    soft: Any = None

    def mixed(self, share: Any) -> Targets:
        """Mix each row with its neighbour; ``share`` [n, 1] is what it keeps of its own."""
        soft = None if self.soft is None else _with_neighbour(self.soft, share)
        return Targets(hard=_with_neighbour(self.hard, share), soft=soft)


def loss_of(targets: Targets, logits: Any, weights: Any, how: Distillation) -> Any:
    """Return the mean loss of a batch.

    The teacher's part is the divergence between both answers, times the squared temperature,
    which keeps its gradients as large as the labels'. It is zero where they agree.
    """
    losses = tf.nn.softmax_cross_entropy_with_logits(targets.hard, logits)
    if targets.soft is not None:
        softened = tf.nn.log_softmax(logits / how.temperature)
        apart = tf.math.xlogy(targets.soft, targets.soft) - targets.soft * softened
        divergence = how.temperature**2 * tf.reduce_sum(apart, axis=1)
        losses = (1.0 - how.weight) * losses + how.weight * divergence
    return tf.reduce_mean(losses * weights)


def mix(inputs: Any, targets: Targets, alpha: float, seed: Any) -> tuple[Any, Targets]:
    """Mix each row with its neighbour (Zhang et al. 2017, arXiv:1710.09412).

    A teacher's answers are mixed as the labels are: cached features can't be shown to it.
    """
    inputs = tf.cast(inputs, tf.float32)
    draws = tf.random.stateless_gamma((2, tf.shape(inputs)[0]), seed, alpha)
    share = tf.math.divide_no_nan(draws[0], draws[0] + draws[1])
    share = tf.maximum(share, 1.0 - share)
    wide = tf.reshape(share, [-1] + [1] * (len(inputs.shape) - 1))
    return _with_neighbour(inputs, wide), targets.mixed(share[:, None])


def _with_neighbour(rows: Any, share: Any) -> Any:
    return share * rows + (1.0 - share) * tf.roll(rows, 1, axis=0)
