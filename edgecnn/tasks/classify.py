"""One image, one class: what its scores mean and how they are judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecnn.core.checkpoint import ClassScore, Scores

LEAST_PROBABILITY = 1e-7
"""Stands in for 0 in a logarithm: int8 outputs round small probabilities away."""


def answers(probabilities: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the best class of each row, [N]; the first of equals; NaN never wins."""
    best: npt.NDArray[np.int64] = np.argmax(_comparable(probabilities), axis=1)
    return best


class Tally:
    """Counts right and wrong answers batch by batch, so that photos can stream past."""

    def __init__(self, classes: Sequence[str]) -> None:
        """Start at zero.

        Args:
            classes: Names in the order of the scores; at least two.
        """
        self.classes = tuple(classes)
        self._confusion = np.zeros((len(classes), len(classes)), np.int64)
        self._top5 = 0
        self._loss = 0.0

    def add(self, probabilities: npt.NDArray[Any], labels: npt.NDArray[Any]) -> None:
        """Count some photos.

        Args:
            probabilities: [N, classes], any float; rows needn't sum to one.
            labels: [N], index of the true class.

        Raises:
            ValueError: shapes that don't fit each other, or a label out of range.
        """
        if probabilities.shape != (len(labels), len(self.classes)):
            raise ValueError(f"scores {probabilities.shape} for {len(self.classes)} classes")
        if len(labels) and (labels.min() < 0 or labels.max() >= len(self.classes)):
            raise ValueError("a label is not one of the classes")
        np.add.at(self._confusion, (labels, answers(probabilities)), 1)
        scores = _comparable(probabilities)
        own = np.take_along_axis(scores, labels[:, None], axis=1)
        # As in `answers`, the first of equals is the better one.
        earlier = np.arange(scores.shape[1])[None, :] < labels[:, None]
        rank = ((scores > own) | ((scores == own) & earlier)).sum(axis=1)
        self._top5 += int((rank < 5).sum())
        self._loss -= float(np.log(own.clip(LEAST_PROBABILITY, 1.0)).sum())

    def scores(self, split: str) -> Scores:
        """Sum up.

        Raises:
            ValueError: nothing was counted.
        """
        counts = self._confusion.sum(axis=1)
        n = int(counts.sum())
        if n == 0:
            raise ValueError("no photo was judged")
        right = self._confusion.diagonal()
        answered = self._confusion.sum(axis=0)
        per_class = tuple(
            ClassScore(
                name=name,
                n=int(counts[i]),
                recall=_share(right[i], counts[i]),
                precision=_share(right[i], answered[i]),
            )
            for i, name in enumerate(self.classes)
        )
        recalls = [row.recall for row in per_class if row.recall is not None]
        return Scores(
            split=split,
            n=n,
            top1=float(right.sum() / n),
            top5=self._top5 / n,
            macro_recall=sum(recalls) / len(recalls),
            loss=self._loss / n,
            per_class=per_class,
            confusion=tuple(tuple(row) for row in self._confusion.tolist()),
        )


def score(
    probabilities: npt.NDArray[Any], labels: npt.NDArray[Any], *, classes: Sequence[str], split: str
) -> Scores:
    """Judge all answers at once; see `Tally`.

    Args:
        probabilities: [N, classes].
        labels: [N], index of the true class.
        classes: Names in the order of the scores.
        split: "val", "test" or "all"; noted in the result.
    """
    tally = Tally(classes)
    tally.add(np.asarray(probabilities), np.asarray(labels))
    return tally.scores(split)


def _comparable(probabilities: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    values = np.asarray(probabilities, np.float64)
    return np.where(np.isnan(values), -np.inf, values)


def _share(part: Any, whole: Any) -> float | None:
    return float(part / whole) if whole else None
