"""Recipes say what they reach, and only what was measured."""

import importlib.util
import json
import re
import shlex
import sys
import types
from pathlib import Path

import pytest

from edgecnn import cli
from edgecnn.core import schema

ROOT = Path(__file__).parents[2]
RECIPES = sorted(path for path in (ROOT / "models").glob("*.toml") if path.stem != "catalogue")
CARDS = sorted((ROOT / "models" / "cards").glob("*.json"))


def load() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("recipe_card_tool", ROOT / "tools" / "card.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


tool = load()


def card_of(path: Path):
    return schema.read(tool.Card, path)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the recipes and cards which a test may spoil."""
    copies = {"MODELS": "models", "CARDS": "models/cards", "PAGE": "docs/recipes.md"}
    (tmp_path / "docs").mkdir()
    (tmp_path / "models" / "cards").mkdir(parents=True)
    for path in [*RECIPES, *(ROOT / "models" / "cards").iterdir(), ROOT / "docs" / "recipes.md"]:
        (tmp_path / path.relative_to(ROOT)).write_bytes(path.read_bytes())
    for name, place in copies.items():
        monkeypatch.setattr(tool, name, tmp_path / place)
    return tmp_path / "models"


def test_heads_cards_and_the_page_of_recipes_are_those_that_the_measurements_give() -> None:
    assert tool.stale() == []


@pytest.mark.tensorflow
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_one_that_train_takes(path: Path) -> None:
    from edgecnn.training import make_recipe

    assert make_recipe(path).arch


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_command_in_a_head_runs_just_this_recipe(path: Path) -> None:
    line = next(line for line in path.read_text().splitlines() if line.startswith("# Run: "))
    _, name, *words = shlex.split(line.removeprefix("# Run: "))
    assert name == "train"
    assert cli.build_parser(name).parse_all(words).recipe in (path.stem, f"models/{path.name}")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_without_a_card_says_that_it_was_not_run(path: Path) -> None:
    measured = (ROOT / "models" / "cards" / f"{path.stem}.json").is_file()
    assert ("Not run yet" in path.read_text()) != measured


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_a_card_has_the_numbers_of_all_four_files_and_no_place(path: Path) -> None:
    card = card_of(path)
    assert card.recipe == path.stem
    assert {Path(file.name).suffix for file in card.files} == {".tflite", ".onnx"}
    assert len(card.files) == 4
    assert not re.search(r'["\s](/|~|\.\./)', path.read_text()), "a path of some machine"
    assert card.n == card.data["n_test"]


def test_a_number_changed_by_hand_is_found(models: Path) -> None:
    recipe = models / f"{CARDS[0].stem}.toml"
    recipe.write_text(recipe.read_text().replace("# Reaches: ", "# Reaches: 1"))
    assert tool.stale() == [recipe.name]


def test_a_setting_changed_after_the_measurement_is_found(models: Path) -> None:
    recipe = models / f"{CARDS[0].stem}.toml"
    recipe.write_text(recipe.read_text().replace("[train]", "[train]\nseed = 77", 1))
    assert CARDS[0].name in tool.stale()


def test_a_recipe_whose_card_is_gone_no_longer_claims_anything(models: Path) -> None:
    (models / "cards" / CARDS[0].name).unlink()
    tool.write()
    assert tool.head(None) in (models / f"{CARDS[0].stem}.toml").read_text()
    assert tool.stale() == []


def test_writing_twice_changes_nothing(models: Path) -> None:
    before = {path: path.read_bytes() for path in models.rglob("*") if path.is_file()}
    tool.write()
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(
    ("top1", "n", "low", "high"), [(0.5, 100, 0.404, 0.596), (1.0, 10, 0.722, 1.0)]
)
def test_the_interval_is_wilsons(top1: float, n: int, low: float, high: float) -> None:
    # Both rows: Wilson's score interval as Brown, Cai and DasGupta 2001 give its formula.
    assert tool.interval(top1, n) == pytest.approx((low, high), abs=1e-3)


def test_a_stage_that_has_its_answer_is_not_run_again(tmp_path: Path) -> None:
    kept = {"asked": {"words": ["x"], "settings": {}}, "wall_s": 1, "cpu_s": 1, "answer": {"a": 1}}
    (tmp_path / "train.json").write_text(json.dumps(kept))
    assert tool.run_stage(tmp_path, "train", ["x"], {}) == kept


def test_a_stage_of_other_settings_is_refused(tmp_path: Path) -> None:
    kept = {"asked": {"words": ["x"], "settings": {}}, "wall_s": 1, "cpu_s": 1, "answer": {"a": 1}}
    (tmp_path / "train.json").write_text(json.dumps(kept))
    with pytest.raises(SystemExit, match="another run"):
        tool.run_stage(tmp_path, "train", ["x"], {"size": 96})


def test_a_failed_stage_keeps_its_time_and_no_answer(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="ended with 2"):
        tool.run_stage(tmp_path, "evaluate", [str(tmp_path / "none"), "--data", "x"], {})
    kept = json.loads((tmp_path / "evaluate.json").read_text())
    assert kept["wall_s"] > 0
    assert "answer" not in kept
