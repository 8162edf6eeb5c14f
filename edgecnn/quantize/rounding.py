"""Rounding that makes up for its own errors: integers whose layer answers as the float one did.

A layer sees inputs with a covariance H. What rounding one weight spoils on them, the
others can take back: the sum to make small is (Q - W) H (Q - W)', not (Q - W)^2.
Weights of exactly zero stay zero, so that a pruned network's file is as sparse.

Source: the order and the propagation of errors are GPTQ's (Frantar et al. 2022,
arXiv:2210.17323, section 3); coordinate descent under H follows; see also AdaRound
(Nagel et al. 2020, arXiv:2004.10568, section 3.1) for the objective.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]

_LIMIT = 127
# Share of the mean diagonal that is added to it: what few photos say of the covariance is
# not believed wholly.
_DAMPING = 0.02
_SWEEPS = 3
_BLOCK = 128
# Coordinate descent on a layer larger than this takes longer than it gains.
_LARGEST_DESCENT = 4e9
# Starting points of a depthwise channel's few weights; more find nothing better.
_STARTS = 8


def damped(covariance: Array) -> Array:
    """Return covariances [..., d, d] that can be inverted, dead inputs included."""
    diagonal = np.diagonal(covariance, axis1=-2, axis2=-1)
    mean = diagonal.mean(axis=-1)
    amount = _DAMPING * mean + np.maximum(1e-6 * mean.max(initial=0.0), 1e-12)
    return covariance + amount[..., None, None] * np.eye(covariance.shape[-1])


def round_dense(weights: Array, scales: Array, covariance: Array, *, limit: int = _LIMIT) -> Array:
    """Round the weights of outputs that read the same inputs.

    Args:
        weights: [outputs, d] float.
        scales: [outputs], or [1] for one common scale.
        covariance: [d, d] of the inputs, not damped.
        limit: The largest integer.

    Returns:
        [outputs, d] int8 within -limit..limit.
    """
    covariance = damped(covariance.astype(np.float64))
    steps = np.broadcast_to(scales.astype(np.float64), len(weights))
    exact = weights.astype(np.float64) / steps[:, None]
    integers = _propagated(exact, covariance, limit)
    if len(weights) * float(len(covariance)) ** 2 <= _LARGEST_DESCENT:
        integers = _descended(exact, integers, covariance, limit)
    return _better(exact, integers, covariance, limit).astype(np.int8)


def round_depthwise(
    weights: Array, scales: Array, covariances: Array, *, limit: int = _LIMIT
) -> Array:
    """Round the weights of channels that each read an input of their own.

    Args:
        weights: [channels, d] float.
        scales: [channels], or [1].
        covariances: [channels, d, d], not damped.
        limit: The largest integer.

    Returns:
        [channels, d] int8 within -limit..limit.
    """
    covariances = damped(covariances.astype(np.float64))
    exact = weights.astype(np.float64) / scales.astype(np.float64).reshape(-1, 1)
    random = np.random.default_rng(0)
    best = np.rint(exact).clip(-limit, limit)
    least = _costs(exact, best, covariances)
    for start in range(_STARTS):
        jitter = random.uniform(-0.5, 0.5, exact.shape) * (exact != 0.0) if start else 0.0
        found = np.rint(exact + jitter).clip(-limit, limit)
        found = _descended_alone(exact, found, covariances, limit)
        costs = _costs(exact, found, covariances)
        better = costs < least
        best[better], least[better] = found[better], costs[better]
    return best.astype(np.int8)


def _propagated(exact: Array, covariance: Array, limit: int) -> Array:
    """Round column by column, the largest input first; each error moves the columns to come."""
    order = np.argsort(-np.diagonal(covariance), kind="stable")
    factor = _factor_of_inverse(covariance[np.ix_(order, order)])
    rest = exact[:, order].copy()
    integers = np.empty_like(rest)
    for first in range(0, rest.shape[1], _BLOCK):
        last = min(first + _BLOCK, rest.shape[1])
        errors = np.empty((len(rest), last - first))
        for column in range(first, last):
            nearest = np.rint(rest[:, column]).clip(-limit, limit)
            integers[:, column] = np.where(exact[:, order[column]] == 0.0, 0.0, nearest)
            error = (rest[:, column] - integers[:, column]) / factor[column, column]
            rest[:, column:last] -= np.outer(error, factor[column, column:last])
            errors[:, column - first] = error
        rest[:, last:] -= errors @ factor[first:last, last:]
    unordered = np.empty_like(integers)
    unordered[:, order] = integers
    return unordered


def _factor_of_inverse(matrix: Array) -> Array:
    """Return the upper U with U'U the inverse, without inverting what is nearly flat."""
    lower = np.linalg.cholesky(matrix[::-1, ::-1])
    return np.linalg.solve(lower, np.eye(len(lower)))[::-1, ::-1]


def _descended(exact: Array, integers: Array, covariance: Array, limit: int) -> Array:
    """Move single integers while that makes the error smaller."""
    integers = integers.copy()
    slope = (integers - exact) @ covariance
    diagonal = np.diagonal(covariance)
    for _ in range(_SWEEPS):
        moved = False
        for column in range(exact.shape[1]):
            best = np.rint(integers[:, column] - slope[:, column] / diagonal[column])
            best = np.where(exact[:, column] == 0.0, 0.0, best.clip(-limit, limit))
            change = best - integers[:, column]
            rows = np.flatnonzero(change)
            if len(rows):
                integers[rows, column] += change[rows]
                slope[rows] += np.outer(change[rows], covariance[column])
                moved = True
        if not moved:
            break
    return integers


def _descended_alone(exact: Array, integers: Array, covariances: Array, limit: int) -> Array:
    """Do the same where each row has a covariance of its own."""
    slope = np.einsum("cd,cde->ce", integers - exact, covariances)
    diagonal = np.diagonal(covariances, axis1=1, axis2=2)
    for _ in range(_SWEEPS):
        for column in range(exact.shape[1]):
            best = np.rint(integers[:, column] - slope[:, column] / diagonal[:, column])
            best = np.where(exact[:, column] == 0.0, 0.0, best.clip(-limit, limit))
            change = best - integers[:, column]
            integers[:, column] += change
            slope += change[:, None] * covariances[:, column]
    return integers


def _better(exact: Array, integers: Array, covariance: Array, limit: int) -> Array:
    """Return the found integers, the nearest ones for rows in which those are no worse."""
    nearest = np.rint(exact).clip(-limit, limit)
    found, plain = (
        np.einsum("od,od->o", (candidate - exact) @ covariance, candidate - exact)
        for candidate in (integers, nearest)
    )
    return np.where((plain <= found)[:, None], nearest, integers)


def _costs(exact: Array, integers: Array, covariances: Array) -> Array:
    error = integers - exact
    return np.einsum("cd,cde,ce->c", error, covariances, error, optimize=True)
