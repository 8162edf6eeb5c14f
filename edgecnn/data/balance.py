"""Unbalanced classes: how far they are apart, and the weights that even them out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

NOTICED_RATIO = 2.0
"""From this ratio of the largest class to the smallest on, a person is told."""


def class_weights(counts: Sequence[int]) -> npt.NDArray[np.float32]:
    """Return each class's loss weight, [classes]: photos / (classes * photos of the class).

    The mean over all photos is 1. A class without photos gets 0.
    """
    photos = np.asarray(counts, np.float64)
    present = photos > 0
    weights = np.zeros_like(photos)
    weights[present] = photos.sum() / (present.sum() * photos[present])
    return weights.astype(np.float32)


def imbalance_warning(classes: Sequence[str], counts: Sequence[int]) -> str | None:
    """Say by how much the classes differ, or nothing when they hardly do."""
    present = [(count, name) for count, name in zip(counts, classes, strict=True) if count]
    if len(present) < 2:
        return None
    (fewest, rare), (most, common) = min(present), max(present)
    if most < NOTICED_RATIO * fewest:
        return None
    return (
        f"unbalanced classes: {most} photos of {common}, {fewest} of {rare}; "
        "judge by macro recall, not by accuracy alone"
    )
