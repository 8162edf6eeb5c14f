"""Data sets of tensorflow-datasets: the child process, the folder it fills, the refusals."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from edgecnn.core.errors import InputError, MissingExtra
from edgecnn.data import open_data
from edgecnn.data.tfds import tfds
from edgecnn.data.tfds_child import folder_names

needs_package = pytest.mark.skipif(
    find_spec("tensorflow_datasets") is None, reason="the extra tfds is not installed"
)


@pytest.mark.skipif(find_spec("tensorflow_datasets") is not None, reason="the extra is installed")
@pytest.mark.parametrize("source", ["tf_flowers", "tfds:beans"])
def test_without_the_package_the_extra_is_named(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path))
    with pytest.raises(MissingExtra, match=r"pip install 'edgecnn\[tfds\]'"):
        open_data(source)


@pytest.mark.parametrize("name", ["", "../../etc", "a b", "-x", "/x"])
def test_what_is_no_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no data set's name"):
        tfds(name, cache=tmp_path)


def test_a_folder_made_before_needs_no_package(photo_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "tfds").mkdir()
    (tmp_path / "tfds" / "beans_0.1.0").symlink_to(photo_folder)
    given = tfds("beans:0.1.0", cache=tmp_path)
    assert given.source == "tfds:beans:0.1.0"
    assert given.classes == ("blue", "green", "red")


def test_class_names_become_harmless_distinct_folders() -> None:
    assert folder_names(["T-shirt/top", "..", "ça va"]) == ["T-shirt_top", "_", "ça va"]
    assert folder_names(["a/b", "a\\b"]) == ["0000 a_b", "0001 a_b"]


@pytest.mark.parametrize("name", ["no_such_set", "x"])
def test_whatever_the_child_meets_becomes_one_line(name: str, tmp_path: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-m", "edgecnn.data.tfds_child", name, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "TFDS_DATA_DIR": str(tmp_path)},
    )
    assert child.stdout.startswith('{"problem": "')


@needs_package
def test_an_unknown_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="check the name"):
        tfds("no_such_set", cache=tmp_path)
    assert not list((tmp_path / "tfds").iterdir())


@needs_package
def test_a_real_builder_becomes_a_folder_of_its_undecoded_photos(tmp_path: Path) -> None:
    script = Path(__file__).parent / "toy_tfds.py"
    child = subprocess.run(
        [sys.executable, script, tmp_path], capture_output=True, text=True, check=True
    )
    assert child.stdout.splitlines()[-1] == "False"  # TensorFlow was not needed
    data = open_data(str(tmp_path / "out"))
    assert data.classes == ("a_b", "c")
    assert {part: len(examples) for part, examples in data.parts.items()} == {
        "train": 8,
        "val": 2,
        "test": 4,
    }
