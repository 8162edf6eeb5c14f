"""How answers are judged."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.tasks import Tally, answers, score

CLASSES = ("cat", "dog", "fox")


def test_top1_recall_precision_and_confusion_of_a_worked_example() -> None:
    probabilities = np.array([[0.9, 0.1, 0], [0.2, 0.8, 0], [0.6, 0.4, 0], [0.1, 0.9, 0]])
    scores = score(probabilities, np.array([0, 0, 1, 1]), classes=CLASSES, split="test")
    assert scores.n == 4
    assert scores.top1 == 0.5
    assert scores.top5 == 1.0
    assert scores.confusion == ((1, 1, 0), (1, 1, 0), (0, 0, 0))
    assert [row.n for row in scores.per_class] == [2, 2, 0]
    assert [row.recall for row in scores.per_class] == [0.5, 0.5, None]
    assert [row.precision for row in scores.per_class] == [0.5, 0.5, None]
    assert scores.loss == pytest.approx(-np.log([0.9, 0.2, 0.4, 0.9]).mean())


def test_macro_recall_counts_a_rare_class_as_much_as_a_common_one() -> None:
    labels = np.array([0] * 9 + [1])
    always_cat = np.tile([1.0, 0.0, 0.0], (10, 1))
    scores = score(always_cat, labels, classes=CLASSES, split="all")
    assert scores.top1 == 0.9
    assert scores.macro_recall == 0.5


def test_top5_looks_at_five_classes() -> None:
    names = tuple("abcdefg")
    falling = np.linspace(1, 0, 7)[None].repeat(7, axis=0)
    assert score(falling, np.arange(7), classes=names, split="all").top5 == 5 / 7


def test_of_equal_scores_the_first_class_wins() -> None:
    flat = np.full((2, 7), 1 / 7)
    assert answers(flat).tolist() == [0, 0]
    assert score(flat, np.array([4, 5]), classes=tuple("abcdefg"), split="all").top5 == 0.5


def test_a_zero_probability_costs_a_finite_loss() -> None:
    scores = score(np.array([[0.0, 1.0, 0.0]]), np.array([0]), classes=CLASSES, split="all")
    assert scores.loss == pytest.approx(-math.log(1e-7))


def test_nan_never_wins_and_never_reaches_the_loss() -> None:
    broken = np.array([[np.nan, 0.2, 0.8], [np.nan] * 3])
    assert answers(broken).tolist() == [2, 0]
    assert math.isfinite(score(broken, np.array([0, 1]), classes=CLASSES, split="all").loss)


@pytest.mark.parametrize(
    ("shape", "labels"), [((2, 4), [0, 1]), ((3, 3), [0, 1]), ((1, 3), [3]), ((1, 3), [-1])]
)
def test_what_does_not_fit_the_classes_is_refused(
    shape: tuple[int, int], labels: list[int]
) -> None:
    with pytest.raises(ValueError, match="classes"):
        score(np.zeros(shape), np.array(labels), classes=CLASSES, split="all")


def test_no_photo_gives_no_score() -> None:
    with pytest.raises(ValueError, match="no photo was judged"):
        Tally(CLASSES).scores("all")


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)),
        min_size=1,
        max_size=30,
    ),
    st.integers(1, 30),
)
def test_streaming_in_batches_changes_nothing(
    rows: list[tuple[int, int, int, int]], batch: int
) -> None:
    labels = np.array([row[0] for row in rows])
    probabilities = np.array([row[1:] for row in rows]) / 10
    whole = score(probabilities, labels, classes=CLASSES, split="all")
    tally = Tally(CLASSES)
    for start in range(0, len(rows), batch):
        tally.add(probabilities[start : start + batch], labels[start : start + batch])
    streamed = tally.scores("all")
    assert streamed.confusion == whole.confusion
    assert streamed.top5 == whole.top5
    assert streamed.loss == pytest.approx(whole.loss)
    assert sum(map(sum, whole.confusion)) == whole.n == len(rows)
    assert whole.top1 <= whole.top5
