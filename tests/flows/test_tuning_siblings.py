"""Siblings of a small real checkpoint: which are trained, on what, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgecnn import targets
from edgecnn.core.checkpoint import Checkpoint, Origin, read
from edgecnn.core.errors import InputError, Interrupted
from edgecnn.flows.tuning import Search, Tuned, tune
from edgecnn.flows.tuning_files import Wanted
from edgecnn.flows.tuning_rows import Settings
from edgecnn.flows.tuning_siblings import Sibling, planned

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

OPTIONS: dict[str, Any] = {
    "arch": "ds_cnn",
    "size": 32,
    "tune_epochs": 2,
    "batch": 8,
    "augment": "light",
    "seed": 3,
}
SPLIT = (60.0, 20.0, 20.0)


@pytest.fixture(scope="module")
def photos(photo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of its own, which tests may take away for a moment."""
    return Path(shutil.copytree(photo_folder, tmp_path_factory.mktemp("photos") / "colours"))


def trained(photos: Path, out: Path, **changes: Any) -> Checkpoint:
    from edgecnn.training import make_recipe, train

    return train(str(photos), out, make_recipe(**OPTIONS | changes), split=SPLIT)


@pytest.fixture(scope="module")
def given(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return trained(photos, tmp_path_factory.mktemp("given") / "colours")


def search(**changes: Any) -> Search:
    settings = Settings(target=targets.parse("predicted:pi4"), threads=(1,))
    wanted = Wanted(schemes=("float32",), formats=("tflite",))
    return dataclasses.replace(Search(settings=settings, wanted=wanted, alphas=(0.5,)), **changes)


@pytest.fixture(scope="module")
def found(given: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tuned]:
    """What a search tells that was interrupted in the middle of a training, and given again."""
    from edgecnn.training import loop

    out = tmp_path_factory.mktemp("tuned") / "out"
    real, runs = loop._Trainer.run_epoch, iter(range(1))

    def run_epoch(*arguments: object) -> bool:
        if next(runs, None) is None:
            raise KeyboardInterrupt
        return real(*arguments)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop._Trainer, "run_epoch", run_epoch)
        with pytest.raises(Interrupted, match="the same command goes on"):
            tune([given.path], search(), out)
    assert (out / "checkpoints" / ".colours-a0.5-s32.work").is_dir()
    return out, tune([given.path], search(), out)


def plan(found: list[Checkpoint], out: Path, **changes: Any) -> list[Sibling]:
    asked = {"alphas": (), "sizes": (), "force": False} | changes
    return planned(found, asked["alphas"], asked["sizes"], out, force=asked["force"])


def test_an_interrupted_sibling_becomes_what_one_training_makes(
    found: tuple[Path, Tuned], photos: Path, tmp_path: Path
) -> None:
    out, _ = found
    sibling = read(out / "checkpoints" / "colours-a0.5-s32").card
    alone = trained(photos, tmp_path / "alone", alpha=0.5).card
    assert (sibling.alpha, sibling.recipe, sibling.data) == (0.5, alone.recipe, alone.data)
    assert sibling.history == alone.history


def test_siblings_are_tried_beside_the_given_one(
    found: tuple[Path, Tuned], given: Checkpoint
) -> None:
    out, result = found
    told = json.loads((out / "tune.json").read_text())
    assert {(row["checkpoint"], row["file"]) for row in told["rows"]} == {
        ("colours", "colours-float32.tflite"),
        ("colours-a0.5-s32", "colours-a0.5-s32-float32.tflite"),
    }
    assert [(one["name"], one["alpha"], one["size"]) for one in told["checkpoints"]] == [
        ("colours", 1.0, 32),
        ("colours-a0.5-s32", 0.5, 32),
    ]
    assert told["siblings"] == 1
    assert min(one.drop_points for one in result.candidates) == 0
    assert {one.accuracy.n for one in result.candidates} == {
        given.card.data and given.card.data.n_val
    }


def test_a_second_run_trains_nothing(found: tuple[Path, Tuned], given: Checkpoint) -> None:
    out, _ = found
    card = out / "checkpoints" / "colours-a0.5-s32" / "card.json"
    before = card.stat().st_mtime_ns
    tune([given.path], search(), out)
    assert card.stat().st_mtime_ns == before


def test_each_width_is_trained_in_each_size_but_for_the_given_one(
    given: Checkpoint, tmp_path: Path
) -> None:
    some = plan([given], tmp_path, alphas=(0.5, 1.0), sizes=(32, 40))
    assert [one.path.name for one in some] == [
        "colours-a0.5-s32",
        "colours-a0.5-s40",
        "colours-a1.0-s40",
    ]


def test_checkpoints_that_are_each_others_siblings_are_not_trained_again(
    given: Checkpoint, found: tuple[Path, Tuned], tmp_path: Path
) -> None:
    other = read(found[0] / "checkpoints" / "colours-a0.5-s32")
    assert plan([given, other], tmp_path, alphas=(0.5, 1.0)) == []


def test_a_batch_that_memory_made_smaller_is_still_the_same_training(
    given: Checkpoint, found: tuple[Path, Tuned]
) -> None:
    larger = changed(given, recipe={**given.card.recipe, "batch": 64})
    (one,) = plan([larger], found[0] / "checkpoints", alphas=(0.5,))
    assert one.finished is not None


def test_a_recipe_of_earlier_days_lacks_what_came_later_and_is_repeated_all_the_same(
    given: Checkpoint, found: tuple[Path, Tuned], tmp_path: Path
) -> None:
    later = ("prune", "cluster", "compress")
    old = {name: value for name, value in given.card.recipe.items() if name not in later}
    (new,) = plan([changed(given, recipe=old)], tmp_path, alphas=(0.5,))
    (known,) = plan([changed(given, recipe=old)], found[0] / "checkpoints", alphas=(0.5,))
    assert (new.finished is None, known.finished is None) == (True, False)


def test_a_sibling_of_another_recipe_is_kept_unless_forced(
    given: Checkpoint, found: tuple[Path, Tuned]
) -> None:
    longer = changed(given, recipe={**given.card.recipe, "tune_epochs": 9})
    folder = found[0] / "checkpoints"
    with pytest.raises(InputError, match=r"another training than that of .*--force"):
        plan([longer], folder, alphas=(0.5,))
    (one,) = plan([longer], folder, alphas=(0.5,), force=True)
    assert one.finished is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda card: {"data": None}, "not trained here"),
        (lambda card: {"base": Origin(name="big", sha256="0")}, "fine-tuned from big"),
        (lambda card: {"teacher": Origin(name="big", sha256="0")}, "a teacher, big"),
        (
            lambda card: {"arch": "mobilenet_v2", "recipe": card.recipe | {"weights": "imagenet"}},
            "no imagenet weights of mobilenet_v2 for alpha 0.6 in --alpha: they exist for 0.35, ",
        ),
        (lambda card: {"recipe": card.recipe | {"weights": "own.h5"}}, "in --alpha: leave it out"),
    ],
    ids=["pulled", "fine-tuned", "pupil", "no such width", "weights of a file"],
)
def test_a_training_that_cannot_be_repeated_is_refused(
    change: Callable[[Any], dict[str, Any]], says: str, given: Checkpoint, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=says):
        plan([changed(given, **change(given.card))], tmp_path, alphas=(0.6,))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"sizes": (48, 16)}, "use --size 32"),
        ({"alphas": (0.5, 3.0)}, "use 0.1 to 2.0"),
    ],
)
def test_a_network_that_cannot_be_trained_here_is_refused_before_any_is(
    changes: dict[str, Any], says: str, given: Checkpoint, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=says):
        plan([given], tmp_path, **changes)


def test_photos_that_are_gone_or_others_are_refused(
    given: Checkpoint, photos: Path, tmp_path: Path
) -> None:
    one = photos / "red" / "00.jpg"
    one.rename(tmp_path / one.name)
    try:
        with pytest.raises(InputError, match="other photos than"):
            plan([given], tmp_path, alphas=(0.5,))
    finally:
        (tmp_path / one.name).rename(one)
    photos.rename(tmp_path / "away")
    try:
        with pytest.raises(InputError, match="no such folder"):
            plan([given], tmp_path, alphas=(0.5,))
    finally:
        (tmp_path / "away").rename(photos)


def test_a_given_checkpoint_with_a_siblings_name_is_refused(
    given: Checkpoint, tmp_path: Path
) -> None:
    other = changed(given, name="colours-a0.5-s32", recipe={**given.card.recipe, "seed": 4})
    with pytest.raises(InputError, match="the name that a sibling of"):
        plan([given, other], tmp_path, alphas=(0.5,))


def changed(one: Checkpoint, **changes: Any) -> Checkpoint:
    return dataclasses.replace(one, card=dataclasses.replace(one.card, **changes))
