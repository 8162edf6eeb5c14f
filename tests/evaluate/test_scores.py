"""A model and labelled photos to scores."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edgecnn.core.errors import InputError
from edgecnn.core.runner import FakeRunner, Runner
from edgecnn.data import Example
from edgecnn.evaluate import evaluate, scores_of


def test_a_right_model_is_right_everywhere(model: Runner, examples: list[Example]) -> None:
    scores, skipped = evaluate(model, examples, split="test")
    assert (scores.split, scores.n, scores.top1, scores.macro_recall) == ("test", 60, 1.0, 1.0)
    assert scores.confusion == ((20, 0, 0), (0, 20, 0), (0, 0, 20))
    assert skipped == []


def test_a_model_of_one_answer_is_right_on_one_class(examples: list[Example]) -> None:
    always_red = FakeRunner([0.1, 0.1, 0.8], classes=("blue", "green", "red"))
    scores, _ = evaluate(always_red, examples, split="all")
    assert scores.top1 == pytest.approx(1 / 3)
    assert [row.recall for row in scores.per_class] == [0.0, 0.0, 1.0]
    assert [row.precision for row in scores.per_class] == [None, None, pytest.approx(1 / 3)]


def test_the_batch_size_changes_nothing(model: Runner, examples: list[Example]) -> None:
    one, _ = evaluate(model, examples, split="all", batch=7)
    two, _ = evaluate(model, examples, split="all", batch=60)
    assert dataclasses.replace(one, loss=0.0) == dataclasses.replace(two, loss=0.0)
    assert one.loss == pytest.approx(two.loss)


def test_a_skipped_photo_is_listed_and_not_judged(
    model: Runner, examples: list[Example], tmp_path: Path
) -> None:
    (tmp_path / "text.jpg").write_text("no photo")
    examples[3] = Example("text.jpg", 0, tmp_path / "text.jpg")
    scores, skipped = evaluate(model, examples, split="all")
    assert scores.n == 59
    assert [(Path(s.path).name, s.reason) for s in skipped] == [
        ("text.jpg", "no photo of a known format")
    ]
    outputs, kept = scores_of(model, examples)
    assert len(outputs) == len(kept) == 59
    assert examples[3] not in kept


def test_scores_of_gives_outputs_in_the_order_of_the_photos(
    model: Runner, examples: list[Example]
) -> None:
    outputs, kept = scores_of(model, examples, batch=16)
    assert kept == examples
    assert outputs.shape == (60, 3)
    assert np.argmax(outputs, axis=1).tolist() == [example.label for example in examples]


def test_no_photos_are_refused(model: Runner) -> None:
    with pytest.raises(InputError, match="no photos"):
        evaluate(model, [], split="all")


def test_outputs_that_are_not_one_a_class_are_refused(examples: list[Example]) -> None:
    odd = FakeRunner([0.5, 0.5], classes=("blue", "green", "red"))
    with pytest.raises(InputError, match="2 outputs and 3 class names"):
        evaluate(odd, examples, split="all")
