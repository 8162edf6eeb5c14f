from __future__ import annotations

import contextlib
import json
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from edgecnn import cli
from edgecnn.core import checkpoint
from edgecnn.core.errors import InputError
from edgecnn.flows.commands import commands_behind
from edgecnn.flows.pulling import pull
from edgecnn.report import Collected

tensorflow = pytest.mark.tensorflow

SYNSETS = resources.files("edgecnn.data").joinpath("imagenet_synsets.txt").read_text().split()


@pytest.fixture(scope="module")
def mobilenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that has weights of the smallest MobileNetV1, random ones."""
    pytest.importorskip("tensorflow")
    from edgecnn import zoo

    folder = tmp_path_factory.mktemp("cache")
    (folder / "models").mkdir()
    shape = (128, 128, 3)
    model = zoo.classifier("mobilenet_v1", 1000, shape=shape, alpha=0.25)
    model.save(folder / "models" / "mobilenet_2_5_128_tf.h5")
    return folder


@pytest.fixture
def cache(mobilenet: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGECNN_CACHE", str(mobilenet))
    return mobilenet


@tensorflow
def test_pulled_checkpoint_answers_with_imagenets_classes(cache: Path, tmp_path: Path) -> None:
    from edgecnn import zoo

    pulled = pull("mobilenet_v1_0.25", tmp_path / "net", size=128)
    found = checkpoint.read(tmp_path / "net")
    card = found.card
    assert (len(card.classes), card.classes[0], card.classes[281]) == (1000, "tench", "tabby")
    assert (card.arch, card.alpha, card.weights) == ("mobilenet_v1", 0.25, "imagenet")
    assert (card.preprocessing.height, card.preprocessing.crop) == (128, 0.875)
    assert card.params == 475_544  # Keras's own count
    assert card.data is None
    assert pulled.weights.licence == "Apache-2.0"
    runner = zoo.CheckpointRunner(found)
    assert runner.run(np.zeros((1, 128, 128, 3), np.uint8)).shape == (1, 1000)
    (command,) = commands_behind(Collected(cards=(card,)))
    assert command == "edgecnn zoo pull mobilenet_v1_0.25 --size 128 --out net"


@tensorflow
def test_folders_of_synsets_judge_a_pulled_checkpoint(
    cache: Path, tmp_path: Path, photo_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "net"
    words = ["zoo", "pull", "mobilenet_v1_0.25", "--out", str(out), "--size", "128", "--json"]
    assert cli.main(words) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["checkpoint"] == str(out)
    assert row["weights"]["top1"] == 0.498
    photos = tmp_path / "val"
    for synset, folder in zip(SYNSETS[5:8], sorted(photo_folder.iterdir()), strict=True):
        (photos / synset).mkdir(parents=True)
        for photo in sorted(folder.iterdir())[:2]:
            (photos / synset / photo.name).write_bytes(photo.read_bytes())
    assert cli.main(["evaluate", str(out), "--data", str(photos), "--json"]) == 0
    judged = json.loads(capsys.readouterr().out)
    assert (judged["n"], judged["skipped"]) == (6, [])
    assert [r["class"] for r in judged["per_class"] if r["n"]] == [
        "electric ray",
        "stingray",
        "cock",
    ]


@tensorflow
def test_earlier_checkpoint_is_replaced_only_with_force(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    with pytest.raises(InputError, match="already a result"):
        pull("mobilenet_v1_0.25", tmp_path / "net", size=128)


def test_what_cannot_be_pulled_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "net")]
    for words, said in (
        (
            ["pull", "mobilenet_v9", *out],
            "no architecture 'mobilenet_v9' in the zoo: try mobilenet_v",
        ),
        (["pull", "lenet5", *out], "no published weights in lenet5: train it, or pull "),
        (["pull", "lenet5"], "no --out in zoo pull: give NAME --out CKPT"),
        (["pull", *out], "no name in zoo pull: give NAME --out CKPT"),
        (["list", *out], "--out in zoo list: it belongs to zoo pull"),
        (["show", "lenet5", "--size", "96"], "--size in zoo show: it belongs to zoo pull"),
    ):
        with contextlib.suppress(SystemExit):
            assert cli.main(["zoo", *words]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line


@tensorflow
def test_next_step_is_said(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["zoo", "pull", "mobilenet_v1_0.25", "--out", str(tmp_path / "net"), "--size", "128"]
    assert cli.main(words) == 0
    said = capsys.readouterr().out
    assert "top-1 49.8 % on ImageNet as published (tensorflow/models, " in said
    assert f"next: edgecnn evaluate {tmp_path / 'net'} --data PHOTOS" in said
