"""Contact sheets of right and wrong answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from edgecnn.core.errors import InputError
from edgecnn.core.runner import FakeRunner, Runner
from edgecnn.data import Example
from edgecnn.evaluate import write_gallery
from edgecnn.evaluate.gallery import PICTURES


def test_right_and_wrong_answers_get_a_sheet_each(examples: list[Example], tmp_path: Path) -> None:
    always_red = FakeRunner([0.1, 0.1, 0.8], classes=("blue", "green", "red"))
    written = write_gallery(always_red, examples, tmp_path / "gallery")
    assert [path.name for path in written] == ["wrong.png", "right.png"]
    heights = []
    for path in written:
        with Image.open(path) as sheet:
            heights.append(sheet.height)
    assert 4 * heights[0] == 7 * heights[1]  # 40 wrong answers in 7 rows, 20 right ones in 4


def test_a_model_without_mistakes_gets_no_sheet_of_them(
    model: Runner, examples: list[Example], tmp_path: Path
) -> None:
    assert [path.name for path in write_gallery(model, examples, tmp_path)] == ["right.png"]
    assert len(examples) > PICTURES


def test_class_names_of_any_script_are_drawn(examples: list[Example], tmp_path: Path) -> None:
    odd = FakeRunner([0.1, 0.1, 0.8], classes=("花", "🌹", "a\nb" * 50))
    assert len(write_gallery(odd, examples, tmp_path)) == 2


def test_a_folder_that_cannot_be_written_is_one_clear_line(
    model: Runner, examples: list[Example], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        write_gallery(model, examples, tmp_path / "file")
