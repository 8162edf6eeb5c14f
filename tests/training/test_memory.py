from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgecnn import zoo
from edgecnn.core import checkpoint, progress
from edgecnn.core.errors import InputError
from edgecnn.training import make_recipe, memory, rehearse, train
from edgecnn.training.phases import learning_part
from edgecnn.training.recipe import Recipe

pytestmark = pytest.mark.tensorflow


def whole(arch: str = "ds_cnn", size: int = 32) -> Any:
    return zoo.attach_head(zoo.build(arch, shape=(size, size, 3)), 3)


def more(recipe: Recipe, batch: int) -> int:
    needs = memory.predict(whole(recipe.arch, recipe.size), recipe)
    return needs.beside_tensorflow(batch)


SCRATCH = make_recipe(arch="ds_cnn", weights="none", size=32, batch=48)


def test_a_larger_batch_and_a_larger_photo_take_more() -> None:
    assert more(SCRATCH, 8) < more(SCRATCH, 16)
    assert more(SCRATCH, 8) < more(dataclasses.replace(SCRATCH, size=64), 8)


def test_tuning_keeps_the_activations_above_its_cut_only() -> None:
    model = whole()
    upper = learning_part(model, dataclasses.replace(SCRATCH, weights="x.h5", tune_from=0.5))
    assert 0 < zoo.cost(upper).kept_bytes < zoo.cost(model).kept_bytes / 2
    head = learning_part(
        model, dataclasses.replace(SCRATCH, weights="x.h5", tune_epochs=0, head_epochs=1)
    )
    assert zoo.cost(head).kept_bytes < zoo.cost(upper).kept_bytes


def test_frozen_layers_are_converted_and_that_takes_memory() -> None:
    tuned = dataclasses.replace(SCRATCH, weights="x.h5", head_epochs=1)
    assert memory.predict(whole(), tuned).weights > memory.predict(whole(), SCRATCH).weights


def test_a_batch_that_fits_stays(capsys: pytest.CaptureFixture[str]) -> None:
    model = whole()
    for free in (None, more(SCRATCH, 48)):
        assert memory.fitting(SCRATCH, model, free) is SCRATCH
    assert capsys.readouterr().err == ""


def test_a_batch_that_does_not_fit_becomes_the_largest_power_of_two_that_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = whole()
    fitted = memory.fitting(SCRATCH, model, more(SCRATCH, 40))
    assert fitted == dataclasses.replace(SCRATCH, batch=32)
    (line,) = capsys.readouterr().err.splitlines()
    assert "a batch of 32 instead of 48" in line


def test_too_little_for_a_batch_of_eight_is_refused_with_what_to_do() -> None:
    model = whole()
    with pytest.raises(InputError) as caught:
        memory.fitting(SCRATCH, model, more(SCRATCH, 8) - 1)
    assert "\n" not in str(caught.value)
    assert "ds_cnn at 32 pixels: choose a smaller --size" in str(caught.value)


def test_a_rehearsal_refuses_what_no_batch_makes_fit_and_else_says_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rehearse(SCRATCH, ("a", "b", "c"), free_bytes=more(SCRATCH, 8))
    assert capsys.readouterr().err == ""
    with pytest.raises(InputError, match="of free memory where"):
        rehearse(SCRATCH, ("a", "b", "c"), free_bytes=more(SCRATCH, 8) - 1)


def test_a_lowered_batch_is_part_of_the_run_and_stays_when_it_is_resumed(
    photo_folder: Path, tmp_path: Path
) -> None:
    source, out = str(photo_folder), tmp_path / "run"
    recipe = dataclasses.replace(SCRATCH, alpha=0.25, tune_epochs=2, batch=24)
    model = zoo.attach_head(zoo.build("ds_cnn", shape=(32, 32, 3), alpha=0.25), 3)
    little = memory.predict(model, recipe).beside_tensorflow(20)

    class Stop(Exception):
        pass

    def stop(*_: Any, **__: Any) -> Any:
        raise Stop

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["edgecnn.training.train"], "run_phases", stop)
        with pytest.raises(Stop):
            train(source, out, recipe, free_bytes=little)
    # Now there is room for 24, and the run goes on as it began.
    trained = train(source, out, recipe, resume=True)
    assert trained.card.recipe["batch"] == 16
    assert train(source, out, recipe, resume=True).card == trained.card
    assert checkpoint.read(out).card.recipe["batch"] == 16


@pytest.mark.slow
def test_a_real_run_takes_what_was_predicted(photo_folder: Path, tmp_path: Path) -> None:
    options = {"arch": "ds_cnn", "weights": "none", "size": 96, "batch": 32, "tune_epochs": 1}
    script = (
        "import json, sys; from pathlib import Path; from edgecnn.training import *\n"
        "c = train(sys.argv[1], Path(sys.argv[2]), make_recipe(**json.loads(sys.argv[3])))\n"
        "print(c.card.peak_rss_mb)"
    )
    command = [sys.executable, "-c", script, str(photo_folder), str(tmp_path / "out")]
    done = subprocess.run(
        [*command, json.dumps(options)], capture_output=True, text=True, check=True
    )
    recipe, model = make_recipe(**options), whole(size=96)
    predicted = memory.predict(model, recipe).total(32) / 1e6
    measured = float(done.stdout.splitlines()[-1])
    # Coverage, where it is on, takes its share of the measured process.
    assert measured / 1.1 < predicted < 1.5 * measured


def files(folder: Path, **contents: str) -> Path:
    for name, text in contents.items():
        path = folder / name.replace("_dot_", ".").replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_free_memory_is_the_least_that_kernel_and_container_leave(tmp_path: Path) -> None:
    meminfo = files(tmp_path, meminfo="MemTotal: 9 kB\nMemAvailable: 7000 kB\n") / "meminfo"
    none = tmp_path / "none"
    assert memory.free_memory(meminfo, none) == 7_168_000
    second = files(
        tmp_path / "v2", memory_dot_max="5000000", memory_dot_current="4000000",
        memory_dot_stat="anon 12\ninactive_file 500000\n",
    )  # fmt: skip
    assert memory.free_memory(meminfo, second) == 1_500_000
    first = files(
        tmp_path / "v1",
        memory__memory_dot_limit_in_bytes="3000",
        memory__memory_dot_usage_in_bytes="4000",
    )
    assert memory.free_memory(meminfo, first) == 0
    unlimited = files(tmp_path / "max", memory_dot_max="max", memory_dot_current="4000000")
    assert memory.free_memory(meminfo, unlimited) == 7_168_000
    assert memory.free_memory(none, none) is None


def test_notes_of_a_quiet_run_stay_away(capsys: pytest.CaptureFixture[str]) -> None:
    model = whole()
    token = progress.QUIET.set(True)
    try:
        memory.fitting(SCRATCH, model, more(SCRATCH, 40))
    finally:
        progress.QUIET.reset(token)
    assert capsys.readouterr().err == ""
