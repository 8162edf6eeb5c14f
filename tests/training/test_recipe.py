from pathlib import Path

import pytest

from edgecnn.core.errors import InputError
from edgecnn.training import make_recipe

pytestmark = pytest.mark.tensorflow


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text)
    return path


def test_training_from_scratch_has_its_own_defaults() -> None:
    assert make_recipe(arch="mobilenet_v2", weights="none").tune_epochs > make_recipe().tune_epochs
    assert make_recipe(arch="mobilenet_v2", weights="none").tune_from == 0.0


def test_an_architecture_without_published_weights_is_trained_from_scratch() -> None:
    assert make_recipe(arch="ds_cnn").from_scratch


def test_an_option_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    file = write(tmp_path, "[train]\nsize = 96\nbatch = 8\n[export]\nscheme = 'int8'\n")
    recipe = make_recipe(file, size=128, batch=None)
    assert (recipe.size, recipe.batch, recipe.arch) == (128, 8, "efficientnet_lite0")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[train]\nsiez = 96\n", "try size"),
        ("[train]\nsize = 'big'\n", "size is 'big'"),
        ("[train]\nsize = 4\n", "8..4096"),
        ("[train]\ntune_from = 1.5\n", "tune_from"),
        ("[train]\ncrop = 0.0\n", "crop"),
        ("[train]\nchannels = 4\n", "channels 4"),
        ("[train]\naugment = 'wild'\n", "augment"),
        ("[train]\nhead_epochs = 0\ntune_epochs = 0\n", "both 0"),
        ("[train]\nweights = 'none'\nhead_epochs = 9\ntune_epochs = 0\n", "tune_epochs is 0"),
        ("[train]\narch = 'mobilnet_v2'\n", "try mobilenet_v2"),
        ("[train]\narch = 3\n", "no architecture '3'"),
        ("[train]\narch = []\n", "no architecture"),
        (f"[train]\nsize = {'[' * 100_000}\n", "mend the TOML"),
        ("train = 3\n", r"\[train\]"),
        ("[train\n", "mend the TOML"),
        ("\xff", "mend the TOML"),
    ],
)
def test_a_bad_recipe_is_one_clear_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        make_recipe(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such recipe"):
        make_recipe(tmp_path / "none.toml")
