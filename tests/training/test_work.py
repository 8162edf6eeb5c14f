from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgecnn.core.errors import InputError
from edgecnn.training.work import WorkFolder, open_work

pytestmark = pytest.mark.tensorflow


def chunks() -> Iterator[np.ndarray]:
    yield np.ones((2, 3), np.float32)
    yield np.zeros((1, 3), np.float32)


def broken() -> Iterator[np.ndarray]:
    yield np.ones((2, 3), np.float32)
    raise KeyboardInterrupt


def test_an_array_is_computed_once_and_found_again(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path)
    first = work.array("a", (3,), "float16", chunks())
    again = work.array("a", (3,), "float16", broken())
    assert first.dtype == np.float16
    assert np.array_equal(first, again)
    assert first.sum() == 6


def test_an_interrupted_array_is_computed_anew(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        work.array("a", (3,), "float32", broken())
    assert work.array("a", (3,), "float32", chunks()).shape == (3, 3)


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path)
    assert work.load_state("head") is None
    work.save_state("head", {"w.0": np.float32([1, 2])}, {"epoch": 3})
    arrays, facts = work.load_state("head") or ({}, None)
    assert facts == {"epoch": 3}
    assert arrays["w.0"].tolist() == [1, 2]


def test_the_same_plan_resumes_and_another_one_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "run"
    open_work(out, {"size": 96, "split": (75, 15, 10)}, resume=False).save_json("mark", 1)
    kept = open_work(out, {"size": 96, "split": (75, 15, 10)}, resume=True)
    assert kept.load_json("mark") == 1
    with pytest.raises(InputError, match="another size"):
        open_work(out, {"size": 128, "split": (75, 15, 10)}, resume=True)
    assert kept.load_json("mark") == 1


def test_without_resume_the_work_starts_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    open_work(tmp_path / "run", {}, resume=False).save_json("mark", 1)
    open_work(tmp_path / "run", {"size": 1}, resume=False).save_json("mark", 1)
    assert open_work(tmp_path / "run", {"size": 2}, resume=False).load_json("mark") is None
    assert "--resume" in capsys.readouterr().err


def test_force_gives_up_another_plan_and_resumes_the_same_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    open_work(tmp_path / "run", {"size": 1}, resume=False).save_json("mark", 1)
    same = open_work(tmp_path / "run", {"size": 1}, resume=True, force=True)
    assert same.load_json("mark") == 1
    other = open_work(tmp_path / "run", {"size": 2}, resume=True, force=True)
    assert other.load_json("mark") is None
    assert "another size" in capsys.readouterr().err


def test_a_folder_killed_before_its_plan_was_written_starts_anew(tmp_path: Path) -> None:
    (tmp_path / ".run.work").mkdir()
    work = open_work(tmp_path / "run", {"size": 1}, resume=True)
    assert work.load_json("plan") == {"size": 1}
