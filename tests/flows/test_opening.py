"""Which files a command line means, and what opens them."""

from pathlib import Path

import pytest

from edgecnn.core.errors import InputError, MissingExtra
from edgecnn.flows.needs import needs
from edgecnn.flows.opening import model_files, open_model


def test_a_folder_stands_for_its_model_files(tmp_path: Path) -> None:
    for name in ("b.onnx", "a.tflite", "export.json", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in model_files([tmp_path])] == ["a.tflite", "b.onnx"]


def test_a_star_may_name_the_json_beside_the_files(tmp_path: Path) -> None:
    names = [tmp_path / "export.json", tmp_path / "a.tflite", tmp_path / "a.tflite"]
    assert model_files(names) == [tmp_path / "a.tflite"]


def test_nothing_to_open_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no \.tflite, \.onnx, \.ort file"):
        model_files([tmp_path])
    with pytest.raises(InputError, match="no model file"):
        model_files([tmp_path / "export.json"])


def test_a_missing_package_becomes_its_extra() -> None:
    with pytest.raises(MissingExtra, match=r"pip install 'edgecnn\[train\]'"), needs("x", "train"):
        raise ModuleNotFoundError("no", name="tensorflow.python")


def test_a_missing_module_of_ours_is_a_fault_not_an_extra() -> None:
    with pytest.raises(ModuleNotFoundError), needs("x", "train"):
        raise ModuleNotFoundError("no", name="edgecnn.nothing")


@pytest.mark.tensorflow
def test_a_foreign_file_opens_with_its_labels(tiny_files: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("a\nb\nc\nd\n")
    with open_model(tiny_files / "tiny-int8.tflite", labels=labels) as model:
        assert model.runner.classes == ("a", "b", "c", "d")
        assert model.data is None
