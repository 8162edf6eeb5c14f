"""Files against their reference: agreement, flips, divergence and invariants."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgecnn.core import schema
from edgecnn.core.errors import InputError
from edgecnn.core.image import Pixels
from edgecnn.core.parity import Check, Parity, ParityRow
from edgecnn.core.runner import FakeRunner, Runner, Scores
from edgecnn.data import Example
from edgecnn.evaluate import compare


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two files to be hashed; the runners beside them are the models."""
    paths = [tmp_path / "a.tflite", tmp_path / "b.onnx"]
    for path in paths:
        path.write_bytes(path.name.encode())
    return paths


class Changed:
    """A model whose outputs are changed on the way out."""

    def __init__(self, model: Any, change: Any) -> None:
        self.model, self.change = model, change
        self.classes, self.preprocessing = model.classes, model.preprocessing

    def run(self, batch: Pixels) -> Scores:
        return np.asarray(self.change(self.model.run(batch)), np.float32)


def _row(
    reference: Runner, path: Path, runner: Runner, photos: list[Example], **options: Any
) -> ParityRow:
    return compare("run", reference, {path: runner}, photos, data="photos", **options).rows[0]


def _check(row: ParityRow, name: str) -> Check:
    return next(check for check in row.checks if check.name == name)


def test_the_same_model_agrees_in_everything(
    model: Runner, files: list[Path], examples: list[Example]
) -> None:
    row = _row(model, files[0], model, examples)
    assert row.sha256 == hashlib.sha256(b"a.tflite").hexdigest()
    assert (row.n, row.top1, row.agreement_pct, row.top1_drop_points) == (60, 1.0, 100.0, 0.0)
    assert (row.max_abs_diff, row.mean_kl, row.flips) == (0.0, 0.0, ())
    assert [check.name for check in row.checks] == ["finite", "sums to one", "more than one class"]
    assert all(check.passed for check in row.checks)


def test_an_integer_output_differs_by_its_step_and_passes(
    model: Runner, rounded: Runner, files: list[Path], examples: list[Example]
) -> None:
    row = _row(model, files[0], rounded, examples)
    assert 0 < row.max_abs_diff <= 1 / 256
    assert 0 <= row.mean_kl < 0.01
    assert all(check.passed for check in row.checks)


def test_flips_are_listed_with_a_picture(
    model: Runner, files: list[Path], examples: list[Example]
) -> None:
    mirrored = Changed(model, lambda scores: scores[:, ::-1])
    row = _row(model, files[0], mirrored, examples)
    assert (row.agreement_pct, row.top1) == (pytest.approx(100 / 3), pytest.approx(1 / 3))
    assert row.top1_drop_points == pytest.approx(200 / 3)
    assert len(row.flips) == 40
    flip = row.flips[0]
    assert (flip.image, flip.label, flip.reference, flip.answer) == (
        "blue/00.jpg",
        "blue",
        "blue",
        "red",
    )
    assert flip.reference_probability == pytest.approx(flip.answer_probability)
    assert flip.thumbnail is not None
    with Image.open(io.BytesIO(base64.b64decode(flip.thumbnail))) as picture:
        assert (picture.format, picture.size) == ("JPEG", (16, 16))
    without = _row(model, files[0], mirrored, examples, thumbnails=False)
    assert {flip.thumbnail for flip in without.flips} == {None}


def test_files_are_paired_and_each_photo_is_run_once_a_model(
    model: Any, rounded: Any, files: list[Path], examples: list[Example]
) -> None:
    parity = compare("a", model, {files[0]: model, files[1]: rounded}, examples, data="photos")
    assert [(pair.a, pair.b, pair.agreement_pct) for pair in parity.pairs] == [
        (str(files[0]), str(files[1]), 100.0)
    ]
    assert (model.batches, rounded.batches) == (2, 2)
    assert parity.passed


def test_models_that_prepare_photos_differently_each_get_their_own(
    model: Any, rounded: Any, files: list[Path], examples: list[Example]
) -> None:
    rounded.preprocessing = dataclasses.replace(rounded.preprocessing, height=24, width=20)
    seen: list[tuple[int, ...]] = []
    run = rounded.run
    rounded.run = lambda batch: seen.append(batch.shape[1:]) or run(batch)
    row = _row(model, files[0], rounded, examples)
    assert set(seen) == {(24, 20, 3)}
    assert row.agreement_pct == 100.0


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        (lambda scores: np.where(scores > 0.9, np.nan, scores), "finite"),
        (lambda scores: np.where(scores > 0.9, np.inf, scores), "finite"),
        (lambda scores: scores * 0.9, "sums to one"),
        (lambda scores: np.tile([1, 0, 0], (len(scores), 1)), "more than one class"),
    ],
)
def test_a_broken_file_fails_its_check_and_the_result_stays_writable(
    model: Runner, files: list[Path], examples: list[Example], change: Any, broken: str
) -> None:
    parity = compare("a", model, {files[0]: Changed(model, change)}, examples, data="photos")
    assert not parity.passed
    assert not _check(parity.rows[0], broken).passed
    assert schema.loads(Parity, schema.dumps(parity), where="here") == parity


def test_photos_of_one_class_may_all_get_one_answer(
    model: Runner, files: list[Path], examples: list[Example]
) -> None:
    assert _check(_row(model, files[0], model, examples[:5]), "more than one class").passed


@pytest.mark.parametrize(("limit", "passed"), [(96, True), (96.67, False)])
def test_the_least_agreement_is_a_check(
    model: Runner, files: list[Path], examples: list[Example], limit: float, passed: bool
) -> None:
    row = _row(model, files[0], _two_flips(model), examples, min_agreement=limit)
    assert row.agreement_pct == pytest.approx(100 * 58 / 60)
    assert _check(row, "agreement").passed is passed


@pytest.mark.parametrize(("limit", "passed"), [(100 * 2 / 60, True), (3.3, False)])
def test_the_largest_drop_is_a_check(
    model: Runner, files: list[Path], examples: list[Example], limit: float, passed: bool
) -> None:
    row = _row(model, files[0], _two_flips(model), examples, max_drop=limit)
    assert _check(row, "top-1 drop").passed is passed


def test_without_labels_there_is_agreement_but_no_accuracy(
    model: Runner, files: list[Path], examples: list[Example]
) -> None:
    unknown = [example.relabelled(-1) for example in examples]
    row = _row(model, files[0], _two_flips(model), unknown, max_drop=0)
    assert (row.top1, row.top1_drop_points) == (None, None)
    assert len(row.flips) == 2
    assert row.flips[0].label is None


def test_files_of_other_classes_are_refused(
    model: Runner, files: list[Path], examples: list[Example]
) -> None:
    other = FakeRunner([0.5, 0.5], classes=("cat", "dog"))
    with pytest.raises(InputError, match="other classes than the reference's"):
        _row(model, files[0], other, examples)


def test_a_file_without_names_needs_as_many_outputs(
    model: Runner, files: list[Path], examples: list[Example]
) -> None:
    other = FakeRunner([0.5, 0.5])
    other.classes = ()
    with pytest.raises(InputError, match="2 outputs and 3 class names"):
        _row(model, files[0], other, examples)


def test_no_photos_are_refused(model: Runner, files: list[Path]) -> None:
    with pytest.raises(InputError, match="no photos"):
        _row(model, files[0], model, [])


def test_a_skipped_photo_is_told_and_the_others_compared(
    model: Any, rounded: Any, files: list[Path], examples: list[Example], capsys: Any
) -> None:
    examples[40] = Example("gone", 0, Path("gone.jpg"))
    rounded.preprocessing = dataclasses.replace(rounded.preprocessing, height=24)
    assert _row(model, files[0], rounded, examples).n == 59
    assert "skipped gone.jpg" in capsys.readouterr().err


def _two_flips(model: Any) -> Changed:
    seen = [0]

    def change(scores: Scores) -> Scores:
        first = seen[0] == 0
        seen[0] += len(scores)
        if first:
            scores[:2] = scores[:2, ::-1]
        return scores

    return Changed(model, change)


def test_a_real_file_agrees_with_itself_on_real_photos(shared: Path) -> None:
    runtime = pytest.importorskip("edgecnn.runtime")
    pytest.importorskip("ai_edge_litert")
    from edgecnn.data import examples_for

    path = shared / "models" / "mobilenet_v1_0.25_128_quant.tflite"
    model = runtime.load(path, labels=shared / "models" / "imagenet_labels.txt")
    photos, _ = examples_for(
        str(shared / "data" / "imagenet_samples"), model.classes, None, limit=200
    )
    row = _row(model, path, model, photos)
    assert row.agreement_pct == 100.0
    assert row.top1 is not None
    assert row.top1 > 0.35  # published: 0.415 on ImageNet's 50,000
    assert all(check.passed for check in row.checks)
