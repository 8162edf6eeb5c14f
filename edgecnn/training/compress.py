"""Weights held to zeros, or to a few values a layer, while a network is fine-tuned.

Pruning raises the share of zeros along a cubic curve and keeps a weight that was zeroed at
zero: Zhu & Gupta 2017, arXiv:1710.01878. Clustering lets each layer's weights take a few
values only; the forward pass sees the clustered weights, and their gradients move the free
ones behind them (straight through, Bengio et al. 2013, arXiv:1308.3432). The values begin as
k-means has them, spread linearly at first: Han et al. 2016, arXiv:1510.00149, section 3.

Both make a file that compresses better. Neither makes it run faster on dense kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from edgecnn.training.work import Array

RAMP = 0.6
"""Share of the steps in which the zeros become more; the rest heals what they did."""

_PRUNINGS = 50  # steps of the curve: each sorts the weights once
_ROUNDS = 100  # of k-means, which settles in fewer


class Compression:
    """Kernels that are held to something; without any, it does nothing.

    Args:
        kernels: Variables that learn. What is zero in them at the beginning stays zero.
        sparsity: Share of zeros that each kernel ends with, 0..1; 0 adds none.
        clusters: Values that each kernel may have, zero among them; 0 leaves it free.
    """

    def __init__(
        self, kernels: Sequence[Any] = (), *, sparsity: float = 0.0, clusters: int = 0
    ) -> None:
        self._kernels = list(kernels)
        self._sparsity = sparsity
        self._pruned_at = -1
        self._begun_with = [zero_share(kernel.numpy()) for kernel in kernels]
        self._clusters = clusters
        self._centroids = [self._first_centroids(kernel.numpy()) for kernel in kernels]

    @property
    def variables(self) -> list[Any]:
        """What changes from step to step, beside the kernels."""
        return [centroids for centroids in self._centroids if centroids is not None]

    def is_complete(self, share_done: float) -> bool:
        """Tell whether weights after this share of the steps are compressed as asked."""
        return not self._kernels or not self._sparsity or share_done >= RAMP

    def advance(self, share_done: float) -> None:
        """Zero the smallest weights, as many as the curve has at this share of the steps."""
        stage = min(_PRUNINGS, int(_PRUNINGS * share_done / RAMP))
        if not self._sparsity or stage == self._pruned_at:
            return
        self._pruned_at = stage
        for kernel, first in zip(self._kernels, self._begun_with, strict=True):
            target = sparsity_at(stage / _PRUNINGS, first=first, last=self._sparsity)
            kernel.assign(pruned(kernel.numpy(), target))
        for kernel, centroids in zip(self._kernels, self._centroids, strict=True):
            if centroids is not None:
                centroids.assign(settled(_present(kernel.numpy()), centroids.numpy()))

    def hold(self) -> list[Any]:
        """Put the clustered weights in the place of the free ones, which it returns."""
        free = [tf.identity(kernel) for kernel in self._kernels]
        for kernel, weights, centroids in zip(self._kernels, free, self._centroids, strict=True):
            if centroids is not None:
                kernel.assign(_clustered(weights, centroids))
        return free

    def release(self, free: Sequence[Any]) -> None:
        """Put the free weights back, for the optimizer."""
        for kernel, weights in zip(self._kernels, free, strict=True):
            kernel.assign(weights)

    def settle(self, free: Sequence[Any]) -> None:
        """Keep zero what was zero before the optimizer's step, and move the centroids along."""
        for kernel, before, centroids in zip(self._kernels, free, self._centroids, strict=True):
            after = tf.where(before == 0.0, 0.0, tf.convert_to_tensor(kernel))
            kernel.assign(after)
            if centroids is not None:
                centroids.assign(_recentred(after, centroids))

    def compressed(self, variables: Sequence[Any], values: Sequence[Array]) -> list[Array]:
        """Return values of a network's variables, those of the kernels compressed.

        The kernels' present zeros decide: averages of them are nowhere exactly zero.
        """
        result = list(values)
        places = {id(variable): place for place, variable in enumerate(variables)}
        for kernel, centroids in zip(self._kernels, self._centroids, strict=True):
            place = places[id(kernel)]
            weights = np.where(kernel.numpy() == 0.0, np.float32(0.0), values[place])
            if centroids is not None:
                nearest = settled(_present(weights), centroids.numpy())
                weights = _snapped(weights, nearest)
            result[place] = weights
        return result

    def _first_centroids(self, kernel: Array) -> Any:
        with_zero = bool(self._sparsity) or not kernel.all()
        count = self._clusters - with_zero
        weights = _present(kernel)
        if not self._clusters or weights.size <= count:
            return None
        start = np.linspace(weights.min(), weights.max(), count)
        return tf.Variable(settled(weights, start), trainable=False, dtype=tf.float32)


def sparsity_at(share: float, *, first: float, last: float) -> float:
    """Return the share of zeros after a share of the ramp, both 0..1.

    Source: Zhu & Gupta 2017, arXiv:1710.01878, equation 1. Zeros only become more.
    """
    last = max(first, last)
    return last + (first - last) * (1.0 - share) ** 3


def pruned(weights: Array, sparsity: float) -> Array:
    """Return weights whose smallest are zero, this share of all of them, rounded down."""
    zeros = int(sparsity * weights.size)
    if not zeros:
        return weights
    order = np.argpartition(np.abs(weights), zeros - 1, axis=None)
    result = weights.copy()
    result.reshape(-1)[order[:zeros]] = 0.0
    return result


def zero_share(weights: Array) -> float:
    """Return the share of exact zeros, 0..1."""
    return float(np.mean(weights == 0.0))


def settled(weights: Array, centroids: Array) -> Array:
    """Return sorted centroids after k-means on one dimension.

    A centroid without weights goes where they are farthest from theirs.

    Args:
        weights: Any shape.
        centroids: [k], ascending.
    """
    ordered = np.sort(weights, axis=None).astype(np.float64)
    powers = [np.concatenate([[0.0], np.cumsum(ordered**power)]) for power in (1, 2)]
    centroids = centroids.astype(np.float64)
    for _ in range(_ROUNDS):
        edges = np.searchsorted(ordered, _between(centroids))
        bounds = np.concatenate([[0], edges, [ordered.size]])
        counts = np.diff(bounds)
        sums, squares = (np.diff(power[bounds]) for power in powers)
        means = sums / np.maximum(counts, 1)
        moved = np.where(counts > 0, means, centroids)
        moved = _refilled(moved, counts, squares - sums * means)
        if np.allclose(moved, centroids, rtol=1e-6, atol=0.0):
            break
        centroids = moved
    return centroids.astype(np.float32)


def _refilled(centroids: Array, counts: Array, errors: Array) -> Array:
    """Put one empty cluster's centroid into the cluster with the largest error."""
    worst = int(np.argmax(errors))
    if counts.all() or errors[worst] <= 1e-9 * errors.sum() or counts[worst] < 2:
        return centroids
    moved = centroids.copy()
    moved[np.argmin(counts)] = centroids[worst] + np.sqrt(errors[worst] / counts[worst])
    return np.sort(moved)


def _present(weights: Array) -> Array:
    return weights[weights != 0.0]


def _between(centroids: Any) -> Any:
    return (centroids[1:] + centroids[:-1]) / 2


def _snapped(weights: Array, centroids: Array) -> Array:
    nearest = centroids[np.searchsorted(_between(centroids), weights)]
    return np.where(weights == 0.0, np.float32(0.0), nearest)


def _clustered(weights: Any, centroids: Any) -> Any:
    """Return each weight's centroid; zero stays zero."""
    nearest = tf.gather(centroids, _places(weights, centroids))
    return tf.where(weights == 0.0, 0.0, tf.reshape(nearest, tf.shape(weights)))


def _recentred(weights: Any, centroids: Any) -> Any:
    """Return the centroids after one round of k-means."""
    count = centroids.shape[0]
    places, flat = _places(weights, centroids), tf.reshape(weights, [-1])
    sums = tf.math.unsorted_segment_sum(flat, places, count)
    present = tf.cast(flat != 0.0, tf.float32)
    counts = tf.math.unsorted_segment_sum(present, places, count)
    return tf.where(counts > 0, tf.math.divide_no_nan(sums, counts), centroids)


def _places(weights: Any, centroids: Any) -> Any:
    return tf.searchsorted(_between(tf.convert_to_tensor(centroids)), tf.reshape(weights, [-1]))
