"""Which photos judge a model, and as which of its classes."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from edgecnn.core.errors import InputError
from edgecnn.data import examples_for, imagenet_classes, open_data
from edgecnn.data.matching import match_classes

COLOURS = ("blue", "green", "red")


def test_the_test_part_of_the_training_photos_judges(photo_folder: Path) -> None:
    data = open_data(str(photo_folder), seed=5, split=(60, 10, 30))
    examples, part = examples_for(str(photo_folder), COLOURS, data.manifest)
    assert part == "test"
    assert [e.digest for e in examples] == [e.digest for e in data.parts["test"]]


def test_the_training_photos_are_known_again_elsewhere(photo_folder: Path, tmp_path: Path) -> None:
    manifest = open_data(str(photo_folder)).manifest
    copy = shutil.copytree(photo_folder, tmp_path / "copy")
    _, part = examples_for(str(copy), COLOURS, manifest)
    assert part == "test"


def test_without_a_test_part_val_judges(photo_folder: Path) -> None:
    manifest = open_data(str(photo_folder), split=(80, 20, 0)).manifest
    examples, part = examples_for(str(photo_folder), COLOURS, manifest)
    assert (len(examples), part) == (12, "val")


@pytest.mark.parametrize("known", [True, False])
def test_all_of_other_photos_judge(photo_folder: Path, known: bool) -> None:
    manifest = open_data("digits").manifest if known else None
    examples, part = examples_for(str(photo_folder), COLOURS, manifest)
    assert (len(examples), part) == (60, "all")


@pytest.mark.parametrize(("split", "count"), [("all", 60), ("test", 6), ("val", 9), ("train", 45)])
def test_split_overrules(photo_folder: Path, split: str, count: int) -> None:
    manifest = open_data(str(photo_folder)).manifest
    examples, part = examples_for(str(photo_folder), COLOURS, manifest, split=split)
    assert (len(examples), part) == (count, split)


def test_a_limit_takes_a_fair_sample(photo_folder: Path) -> None:
    examples, _ = examples_for(str(photo_folder), COLOURS, None, limit=9)
    assert Counter(example.label for example in examples) == {0: 3, 1: 3, 2: 3}


def test_labels_are_those_of_the_model(photo_folder: Path) -> None:
    classes = ("red", "violet", "Green", "blue")
    examples, _ = examples_for(str(photo_folder), classes, None)
    labels = {example.name.split("/")[0]: example.label for example in examples}
    assert labels == {"blue": 3, "green": 2, "red": 0}


def test_one_photo_of_one_class_is_enough(make_folder: Callable[..., Path]) -> None:
    examples, part = examples_for(str(make_folder(red=1)), COLOURS, None)
    assert ([example.label for example in examples], part) == ([2], "all")


def test_an_unknown_part_is_refused(photo_folder: Path) -> None:
    with pytest.raises(InputError, match="try test"):
        examples_for(str(photo_folder), COLOURS, None, split="tests")


def test_an_empty_part_is_refused(photo_folder: Path) -> None:
    manifest = open_data(str(photo_folder), split=(80, 20, 0)).manifest
    with pytest.raises(InputError, match="no test photos"):
        examples_for(str(photo_folder), COLOURS, manifest, split="test")


def test_a_model_without_names_asks_for_labels(photo_folder: Path) -> None:
    with pytest.raises(InputError, match="--labels"):
        examples_for(str(photo_folder), (), None)


# --- names ---

IMAGENET = tuple(f"thing {index}" for index in range(1000))


@pytest.mark.parametrize(
    ("name", "classes", "index"),
    [
        ("dog", ("cat", "dog"), 1),
        ("Guinea_Pig", ("cat", "guinea pig"), 1),
        ("tench", ("goldfish", "tench, Tinca tinca"), 1),
        ("Tinca tinca", ("goldfish", "tench, Tinca tinca"), 1),
        ("n01440764", ("n01443537", "n01440764"), 1),
        ("n01440764", ("n01443537 goldfish", "n01440764 tench"), 1),
        ("n01443537", IMAGENET, 1),
        ("n01443537", ("background", *IMAGENET), 2),
        ("n15075141", IMAGENET, 999),
        ("1", ("cat", "dog"), 1),
        ("0001", ("cat", "dog"), 1),
        ("7", ("1", "7", "0"), 1),
    ],
)
def test_a_folder_matches_by_name_synset_or_index(
    name: str, classes: tuple[str, ...], index: int
) -> None:
    assert match_classes([name], classes, where="here") == [index]


def test_a_full_name_goes_before_a_synonym_and_the_first_before_the_second() -> None:
    assert match_classes(["crane"], ("heron, crane", "crane", "crane"), where="here") == [1]


@pytest.mark.parametrize("name", ["n01443537", "2", "-1", "x"])
def test_a_folder_that_is_no_class_is_named(name: str) -> None:
    with pytest.raises(InputError, match=f"no class of the model for {name} in here"):
        match_classes([name], ("cat", "dog"), where="here")


def test_the_nearest_class_is_offered() -> None:
    with pytest.raises(InputError, match="rename it to dandelion"):
        match_classes(["dandelions"], ("daisy", "dandelion"), where="here")


def test_imagenets_synsets_are_a_thousand_in_their_usual_order(shared: Path) -> None:
    photos = sorted((shared / "data" / "imagenet_samples").rglob("*.*"))
    names = [photo.parent.name for photo in photos]
    assert len(names) == 500
    indices = [int(photo.name[:4]) for photo in photos]
    assert match_classes(names, IMAGENET, where="here") == indices


def test_imagenets_short_names_are_distinct_and_found() -> None:
    classes = imagenet_classes()
    assert len({name.casefold() for name in classes}) == 1000
    names = ["n02124075", "tabby", "Egyptian_cat", "crane (bird)", "151"]
    assert match_classes(names, classes, where="") == [285, 281, 285, 134, 151]
