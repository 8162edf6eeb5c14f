import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from edgecnn import zoo
from edgecnn.cli import main
from edgecnn.core import checkpoint as checkpoints
from edgecnn.core.checkpoint import Checkpoint
from edgecnn.core.errors import InputError, Interrupted
from edgecnn.training import loop, make_recipe, train
from edgecnn.training.compress import RAMP
from edgecnn.training.start import begin

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

OPTIONS = {"arch": "ds_cnn", "alpha": 0.25, "size": 32, "tune_epochs": 12, "batch": 8, "seed": 3}
PRUNED = {"prune": 0.6, "cluster": 8, "tune_epochs": 5}


@pytest.fixture(scope="module")
def base(photo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    out = tmp_path_factory.mktemp("base") / "base"
    recipe = make_recipe(**OPTIONS, augment="light", resize="squash")
    return train(str(photo_folder), out, recipe, split=(60, 20, 20))


@pytest.fixture(scope="module")
def compressed(
    base: Checkpoint, photo_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Checkpoint:
    out = tmp_path_factory.mktemp("compressed") / "run"
    return train(str(photo_folder), out, make_recipe(base=base.card, **PRUNED), base=base)


def test_a_fine_tuned_checkpoint_keeps_network_preprocessing_split_and_habits(
    base: Checkpoint, compressed: Checkpoint
) -> None:
    before, after = base.card, compressed.card
    assert (after.arch, after.alpha, after.padding) == (before.arch, before.alpha, before.padding)
    assert after.preprocessing == before.preprocessing
    assert after.normalization == before.normalization
    assert after.data == before.data
    assert after.recipe["augment"] == "light"
    assert after.base == base.origin
    assert checkpoints.read(compressed.path).card == after


def test_inner_kernels_end_with_the_zeros_and_values_asked_for(compressed: Checkpoint) -> None:
    touched = [row for row in compressed.card.compression if row.spared is None]
    assert len(touched) == 8
    for row in touched:
        assert row.zeros == int(0.6 * row.weights)
        assert row.distinct <= 8


def test_the_ends_and_the_depthwise_layers_are_spared_with_the_reason(
    compressed: Checkpoint,
) -> None:
    rows = {row.layer: row for row in compressed.card.compression}
    assert rows["stem_conv"].spared == "the first layer"
    assert rows["logits"].spared == "the last layer"
    assert rows["stage1_block0_depthwise_conv"].spared == "depthwise"
    assert all(row.zeros == 0 for row in rows.values() if row.spared)


def test_no_weights_are_kept_from_before_the_last_zeros(compressed: Checkpoint) -> None:
    losses = [epoch.val_loss for epoch in compressed.card.history]
    eligible = losses[int(np.ceil(RAMP * len(losses))) - 1 :]
    kept = compressed.card.scores_on("val")
    assert kept is not None
    assert kept.loss == pytest.approx(min(eligible), abs=1e-3)


def test_an_interrupted_compression_is_resumed_to_the_same_result(
    compressed: Checkpoint,
    base: Checkpoint,
    photo_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, runs = loop._Trainer.run_epoch, iter(range(2))
    recipe = make_recipe(base=base.card, **PRUNED)

    def run_epoch(*arguments: object) -> bool:
        if next(runs, None) is None:
            raise KeyboardInterrupt
        return real(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(loop._Trainer, "run_epoch", run_epoch)
        with pytest.raises(Interrupted):
            train(str(photo_folder), tmp_path / "run", recipe, base=base)
    other = make_recipe(base=base.card, **{**PRUNED, "prune": 0.5})
    with pytest.raises(InputError, match="another prune"):
        train(str(photo_folder), tmp_path / "run", other, base=base, resume=True)
    again = train(str(photo_folder), tmp_path / "run", recipe, base=base, resume=True)
    assert again.card.history == compressed.card.history
    pairs = zip(zoo.restore(again).weights, zoo.restore(compressed).weights, strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


def test_what_was_zero_stays_zero_when_it_is_clustered_later(
    compressed: Checkpoint, photo_folder: Path, tmp_path: Path
) -> None:
    recipe = make_recipe(base=compressed.card, cluster=4, tune_epochs=1, compress="all")
    again = train(str(photo_folder), tmp_path / "run", recipe, base=compressed)
    assert all(row.spared is None and row.distinct <= 4 for row in again.card.compression)
    for before, after in zip(compressed.card.compression, again.card.compression, strict=True):
        assert after.zeros >= before.zeros


def test_a_checkpoint_learns_on_without_being_compressed(
    base: Checkpoint, photo_folder: Path, tmp_path: Path
) -> None:
    recipe = make_recipe(base=base.card, tune_epochs=1, tune_from=0.0)
    again = train(str(photo_folder), tmp_path / "run", recipe, base=base)
    assert again.card.compression == ()
    reached, before = again.card.scores_on("val"), base.card.scores_on("val")
    assert reached is not None
    assert before is not None
    assert reached.loss <= before.loss + 1e-3


def test_classes_in_another_order_keep_their_answers(base: Checkpoint) -> None:
    photos = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.float32)
    recipe = make_recipe(base=base.card)
    usual = begin(recipe, ("blue", "green", "red"), base).model(photos).numpy()
    other = begin(recipe, ("green", "red", "blue"), base).model(photos).numpy()
    assert np.allclose(other, usual[:, [1, 2, 0]], atol=1e-6)


def test_other_classes_are_refused(base: Checkpoint) -> None:
    with pytest.raises(InputError, match="other classes"):
        begin(make_recipe(base=base.card), ("blue", "green"), base)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--from", "BASE", "--arch", "mobilenet_v2"], "arch mobilenet_v2 where the checkpoint"),
        (["--from", "BASE", "--split", "80/10/10"], "other shares than the checkpoint's run had"),
        (["--from", "BASE", "--cluster", "1"], "cluster 1 would make all weights"),
        (["--from", "BASE", "--prune", "1.5"], "1.5 is not within 0..0.99"),
        (["--prune", "0.5"], "prune and cluster fine-tune a checkpoint"),
        (["--weights", "checkpoint"], "no checkpoint to start from"),
        (["--from", "nowhere"], "no such checkpoint"),
    ],
)
def test_the_command_refuses_in_one_line(
    options: list[str],
    message: str,
    base: Checkpoint,
    photo_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [str(base.path) if word == "BASE" else word for word in options]
    code = main(["train", str(photo_folder), *words, "--out", str(tmp_path / "run")])
    error = capsys.readouterr().err.strip()
    assert code == 2
    assert message in error
    assert "\n" not in error
    assert not list(tmp_path.iterdir())


def test_the_command_says_what_became_of_the_weights(
    base: Checkpoint, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", str(photo_folder), "--from", str(base.path), "--prune", "0.5"]
    out = ["--out", str(tmp_path / "run")]
    assert main([*words, "--tune-epochs", "1", *out]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "compressed: 8 kernels; 41.3 % of all 15,968 kernel weights are zero" in shown
    assert "spared: stem_conv (the first layer), stage0_block0_depthwise_conv (depthwise)" in shown
    assert main([*words, "--tune-epochs", "1", *out, "--resume", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["base"]["name"] == "base"
    assert {kernel["spared"] for kernel in row["compression"]} == {
        *(None, "depthwise", "the first layer", "the last layer")
    }
