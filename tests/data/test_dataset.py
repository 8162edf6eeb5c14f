"""A folder or a name to a Dataset; and what is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from edgecnn.core.errors import InputError
from edgecnn.data import class_weights, open_data, require_trainable

MakeFolder = Callable[..., Path]


def test_a_folder_of_class_folders_is_split(photo_folder: Path) -> None:
    data = open_data(str(photo_folder), split=(60, 10, 30))
    assert data.classes == ("blue", "green", "red")
    assert {part: len(examples) for part, examples in data.parts.items()} == {
        "train": 36,
        "val": 6,
        "test": 18,
    }
    assert data.manifest.source == str(photo_folder.resolve())
    assert data.manifest.per_class == (20, 20, 20)
    assert data.manifest.split == (60.0, 10.0, 30.0)
    assert (data.manifest.n_train, data.manifest.n_val, data.manifest.n_test) == (36, 6, 18)
    assert data.warnings == ()
    assert data.parts["test"][0].name.startswith("blue/")
    require_trainable(data)


def test_moved_and_renamed_photos_keep_their_side(photo_folder: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    for photo in sorted(photo_folder.rglob("*.jpg"), reverse=True):
        place = moved / photo.parent.name / "deeper"
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, place / f"x{photo.name}")
    here, there = open_data(str(photo_folder), seed=3), open_data(str(moved), seed=3)
    assert here.manifest.fingerprint == there.manifest.fingerprint
    for part in here.parts:
        assert {e.digest for e in here.parts[part]} == {e.digest for e in there.parts[part]}


def test_a_folder_that_came_split_stays_so(make_folder: MakeFolder) -> None:
    root = make_folder("photos/train", a=4, b=4).parent
    make_folder("photos/valid", a=2, b=2)
    make_folder("photos/test", a=3, b=1)
    data = open_data(str(root))
    assert data.classes == ("a", "b")
    assert {part: len(examples) for part, examples in data.parts.items()} == {
        "train": 8,
        "val": 4,
        "test": 4,
    }
    assert data.manifest.split is None
    assert data.manifest.per_class == (9, 7)
    assert data.parts["test"][0].name == "test/a/000.png"


def test_where_val_is_missing_it_is_cut_from_train(make_folder: MakeFolder) -> None:
    root = make_folder("photos/train", a=20, b=20).parent
    make_folder("photos/test", a=5, b=5)
    data = open_data(str(root))
    assert {part: len(examples) for part, examples in data.parts.items()} == {
        "train": 34,
        "val": 6,
        "test": 10,
    }
    require_trainable(data)


def test_one_folder_named_train_is_a_class(make_folder: MakeFolder) -> None:
    assert open_data(str(make_folder(train=3, tram=3))).classes == ("train", "tram")


def test_photos_that_teach_and_judge_are_told(make_folder: MakeFolder) -> None:
    root = make_folder("photos/train", a=4, b=4).parent
    make_folder("photos/test", a=2, b=2)
    shutil.copy(root / "train" / "a" / "000.png", root / "test" / "a" / "copy.png")
    assert "1 photos for training are also among those that judge" in open_data(str(root)).warnings


def test_a_photo_in_two_classes_is_told(make_folder: MakeFolder) -> None:
    root = make_folder(a=4, b=4)
    shutil.copy(root / "a" / "000.png", root / "b" / "copy.png")
    assert "1 photos lie in more than one class" in open_data(str(root)).warnings


def test_unbalanced_classes_are_told(make_folder: MakeFolder) -> None:
    (warning,) = open_data(str(make_folder(cats=12, dogs=3))).warnings
    assert warning.startswith("unbalanced classes: 12 photos of cats, 3 of dogs")


def test_class_weights_even_the_classes_out() -> None:
    assert class_weights([30, 10, 0]).tolist() == pytest.approx([2 / 3, 2.0, 0.0])


def test_hidden_files_other_files_and_folders_named_like_photos_do_not_count(
    make_folder: MakeFolder,
) -> None:
    root = make_folder(a=3, b=3)
    (root / ".git").mkdir()
    (root / "__MACOSX").mkdir()
    (root / "a" / "._000.png").write_bytes(b"resource fork")
    (root / "a" / "notes.txt").write_text("notes")
    (root / "a" / "odd.jpg").mkdir()
    Image.new("RGB", (8, 8), "white").save(root / "a" / "LOUD.JPG", format="JPEG")
    assert open_data(str(root)).manifest.per_class == (4, 3)


def test_digits_need_no_download() -> None:
    data = open_data("digits")
    assert data.classes == tuple("0123456789")
    assert len(data.examples) == 1797
    assert data.examples[0].image.shape == (8, 8)  # type: ignore[union-attr]
    assert data.manifest.source == "digits"


# --- refusals ---


def _refused(source: Path | str) -> str:
    with pytest.raises(InputError) as caught:
        require_trainable(open_data(str(source)))
    return str(caught.value)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    assert "no such folder" in _refused(tmp_path / "none")


def test_a_misspelled_data_set_is_offered_the_nearest() -> None:
    assert "try fashion_mnist" in _refused("fashon_mnist")


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK")
    assert "a file instead of a folder" in _refused(tmp_path / "a.zip")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    assert "no class folders" in _refused(tmp_path)


def test_loose_photos_are_refused_with_what_to_do(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg")
    assert "1 photos, but no class folders" in _refused(tmp_path)


def test_a_class_without_photos_is_named(make_folder: MakeFolder) -> None:
    root = make_folder(cats=3)
    (root / "dogs").mkdir()
    assert "no photos of dogs" in _refused(root)


def test_one_class_cannot_be_trained(make_folder: MakeFolder) -> None:
    assert "one class only (cats)" in _refused(make_folder(cats=5))


def test_two_photos_a_class_cannot_be_trained(make_folder: MakeFolder) -> None:
    assert "fewer than 3 photos of cats (2), dogs (2)" in _refused(make_folder(cats=2, dogs=2))


def test_three_photos_a_class_are_the_least(make_folder: MakeFolder) -> None:
    require_trainable(open_data(str(make_folder(cats=3, dogs=3))))


def test_a_folder_without_a_train_part_judges_but_does_not_train(make_folder: MakeFolder) -> None:
    root = make_folder("photos/val", a=4, b=4).parent
    make_folder("photos/test", a=4, b=4)
    assert len(open_data(str(root)).examples) == 16
    assert "no train photos" in _refused(root)


def test_parts_with_other_classes_are_refused(make_folder: MakeFolder) -> None:
    root = make_folder("photos/train", a=4, b=4).parent
    make_folder("photos/test", a=4, c=4)
    assert "photos of c in test but none in train" in _refused(root)
