import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from edgecnn import zoo
from edgecnn.cli import main
from edgecnn.core import checkpoint as checkpoints
from edgecnn.core.checkpoint import Checkpoint
from edgecnn.core.errors import InputError, Interrupted
from edgecnn.data import Reader, open_data
from edgecnn.training import loop, make_recipe, train
from edgecnn.training.teacher import Teacher

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

# The network whose training step is traced the fastest.
LARGE = {"arch": "lenet5", "size": 48, "tune_epochs": 12, "batch": 8}
SMALL = {"arch": "lenet5", "size": 32, "tune_epochs": 4, "batch": 8}
PHASES = {**SMALL, "head_epochs": 2, "tune_epochs": 2, "views": 2, "tune_from": 0.5}


@pytest.fixture(scope="module")
def teacher(photo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    out = tmp_path_factory.mktemp("teacher") / "large"
    return train(str(photo_folder), out, make_recipe(weights="none", **LARGE))


@pytest.fixture(scope="module")
def student(
    teacher: Checkpoint, photo_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Checkpoint:
    out = tmp_path_factory.mktemp("student") / "small"
    return train(str(photo_folder), out, make_recipe(**SMALL), teacher=teacher)


def test_a_teacher_answers_what_its_checkpoint_answers(
    teacher: Checkpoint, photo_folder: Path
) -> None:
    photos = next(iter(Reader(open_data(str(photo_folder)).examples, teacher.card.preprocessing)))
    logits = Teacher(teacher, teacher.card.classes).logits(photos.pixels)
    shares = np.exp(logits - logits.max(1, keepdims=True))
    expected = zoo.CheckpointRunner(teacher).run(photos.pixels)
    assert np.allclose(shares / shares.sum(1, keepdims=True), expected, atol=1e-4)


def test_its_answers_come_in_the_student_s_order(teacher: Checkpoint) -> None:
    photos = np.random.default_rng(0).integers(0, 256, (5, 48, 48, 3), dtype=np.uint8)
    usual = Teacher(teacher, ("blue", "green", "red")).logits(photos)
    other = Teacher(teacher, ("red", "blue", "green")).logits(photos)
    assert np.array_equal(other, usual[:, [2, 0, 1]])


def test_a_teacher_of_other_classes_is_refused(teacher: Checkpoint) -> None:
    with pytest.raises(InputError, match="lacks 'grey'"):
        Teacher(teacher, ("blue", "green", "red", "grey"))
    with pytest.raises(InputError, match="has 'red'"):
        Teacher(teacher, ("blue", "green"))


def test_the_command_refuses_other_classes_in_one_line_before_any_file(
    teacher: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    options = ["--arch", "lenet5", "--size", "32", "--weights", "none"]
    code = main(["train", "digits", *options, "--teacher", str(teacher.path), "--out", str(out)])
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert code == 2
    assert error.startswith("error: other classes than the photos' 10 (it has 'blue') in")
    assert not list(tmp_path.iterdir())


def test_the_card_remembers_the_teacher(student: Checkpoint, teacher: Checkpoint) -> None:
    assert student.card.teacher == teacher.origin
    assert checkpoints.read(student.path).card == student.card
    assert student.card.base is None


def test_a_teacher_changes_what_is_learned(
    student: Checkpoint, photo_folder: Path, tmp_path: Path
) -> None:
    alone = train(str(photo_folder), tmp_path / "alone", make_recipe(**SMALL))
    assert alone.card.teacher is None
    assert [e.loss for e in alone.card.history] != [e.loss for e in student.card.history]


def test_a_student_is_resumed_to_the_same_result(
    student: Checkpoint,
    teacher: Checkpoint,
    photo_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, runs, recipe = loop._Trainer.run_epoch, iter(range(2)), make_recipe(**SMALL)

    def run_epoch(*arguments: object) -> bool:
        if next(runs, None) is None:
            raise KeyboardInterrupt
        return real(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(loop._Trainer, "run_epoch", run_epoch)
        with pytest.raises(Interrupted):
            train(str(photo_folder), tmp_path / "run", recipe, teacher=teacher)
    with pytest.raises(InputError, match="another teacher"):
        train(str(photo_folder), tmp_path / "run", recipe, resume=True)
    again = train(str(photo_folder), tmp_path / "run", recipe, teacher=teacher, resume=True)
    assert [e.loss for e in again.card.history] == [e.loss for e in student.card.history]
    pairs = zip(zoo.restore(again).weights, zoo.restore(student).weights, strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


def test_both_phases_of_a_transfer_learn_from_a_teacher(
    teacher: Checkpoint, student: Checkpoint, photo_folder: Path, tmp_path: Path
) -> None:
    recipe = make_recipe(**PHASES, weights=str(student.model_path), distill_weight=0.9)
    losses = []
    for name, tutor in (("alone", None), ("taught", teacher)):
        run = train(str(photo_folder), tmp_path / name, recipe, teacher=tutor)
        losses.append({epoch.phase: epoch.loss for epoch in run.card.history})
    alone, taught = losses
    assert alone["head"] != taught["head"]
    assert alone["tune"] != taught["tune"]


def test_a_teacher_that_has_learned_from_the_judging_photos_is_noted(
    teacher: Checkpoint, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = make_recipe(**{**SMALL, "seed": 5, "tune_epochs": 1})
    train(str(photo_folder), tmp_path / "run", recipe, teacher=teacher)
    assert "note: the teacher has learned from some of the photos" in capsys.readouterr().err


def test_the_command_says_who_the_teacher_was(
    teacher: Checkpoint, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--arch", "lenet5", "--size", "32", "--tune-epochs", "1"]
    teaching = ["--teacher", str(teacher.path), "--distill-weight", "0.7"]
    words = ["train", str(photo_folder), *options, *teaching, "--out", str(tmp_path / "run")]
    assert main([*words, "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["teacher"] == {"name": "large", "sha256": teacher.card.model_sha256}
    assert checkpoints.read(tmp_path / "run").card.recipe["distill_weight"] == 0.7
