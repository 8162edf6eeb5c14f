from __future__ import annotations

import dataclasses
import json
import shutil
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from edgecnn import zoo
from edgecnn.core import checkpoint as checkpoints
from edgecnn.core.checkpoint import Card, Checkpoint, Padding
from edgecnn.core.errors import InputError
from edgecnn.core.normalization import Normalization
from edgecnn.core.runner import Runner

pytestmark = pytest.mark.tensorflow

CLASSES = ("cat", "dog", "fox")


def card() -> Card:
    architecture = zoo.find("ds_cnn")
    return Card(
        name="pets",
        task="classify",
        classes=CLASSES,
        arch="ds_cnn",
        alpha=0.25,
        preprocessing=architecture.preprocessing(32),
        normalization=architecture.normalization,
        weights="none",
        params=0,
        macs=0,
        recipe={},
        data=None,
        phases=(),
        history=(),
        scores=(),
        seconds=0.0,
        peak_rss_mb=0.0,
        model_sha256="",
        versions={},
    )


def write(path: Path, model: keras.Model, **changes: object) -> Checkpoint:
    return checkpoints.write(
        path,
        dataclasses.replace(card(), **changes),
        save_model=lambda to: zoo.save_model(model, to),
    )


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    return zoo.attach_head(zoo.build("ds_cnn", shape=(32, 32, 3), alpha=0.25), len(CLASSES))


@pytest.fixture(scope="module")
def checkpoint(model: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return write(tmp_path_factory.mktemp("run") / "pets", model)


def pixels(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), np.uint8)


def test_restored_network_is_the_saved_one(checkpoint: Checkpoint, model: keras.Model) -> None:
    restored = zoo.restore(checkpoints.read(checkpoint.path))
    for ours, theirs in zip(restored.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_saved_file_is_one_that_keras_opens_too(checkpoint: Checkpoint, model: keras.Model) -> None:
    loaded = keras.models.load_model(checkpoint.model_path)
    np.testing.assert_allclose(
        loaded(pixels(2).astype(np.float32)), model(pixels(2).astype(np.float32)), atol=1e-6
    )


def test_runner_answers_batches_of_any_size_like_the_model(
    checkpoint: Checkpoint, model: keras.Model
) -> None:
    runner: Runner = zoo.CheckpointRunner(checkpoint)
    assert runner.classes == CLASSES
    assert runner.preprocessing.shape == (32, 32, 3)
    for count in (1, 5):
        answer = runner.run(pixels(count))
        assert answer.shape == (count, 3)
        assert answer.dtype == np.float32
        expected = np.asarray(model(pixels(count).astype(np.float32), training=False))
        np.testing.assert_allclose(answer, expected, atol=1e-6)


def altered(checkpoint: Checkpoint, to: Path, member: str, data: bytes | None) -> Checkpoint:
    """Copy a checkpoint whose model file has another member, or lacks it."""
    shutil.copytree(checkpoint.path, to)
    source, target = checkpoint.model_path, to / checkpoint.model_path.name
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            if name != member:
                new.writestr(name, old.read(name))
        if data is not None:
            new.writestr(member, data)
    return Checkpoint(to, checkpoint.card)


def test_code_in_the_file_is_not_run(checkpoint: Checkpoint, tmp_path: Path) -> None:
    config = {"module": "os", "class_name": "system", "config": {"command": "touch owned"}}
    evil = altered(checkpoint, tmp_path / "evil", "config.json", json.dumps(config).encode())
    assert zoo.restore(evil).output_shape == (None, 3)


@pytest.mark.parametrize("data", [None, b"", b"no HDF5 at all", b"\x89HDF\r\n\x1a\n" + bytes(99)])
def test_file_without_proper_weights_is_one_line(
    checkpoint: Checkpoint, tmp_path: Path, data: bytes | None
) -> None:
    with pytest.raises(InputError, match=r"model\.keras") as caught:
        zoo.restore(altered(checkpoint, tmp_path / "broken", "model.weights.h5", data))
    assert "\n" not in str(caught.value)


def test_card_of_other_classes_does_not_fit_the_weights(model: keras.Model, tmp_path: Path) -> None:
    wrong = write(tmp_path / "wrong", model, classes=(*CLASSES, "owl"))
    with pytest.raises(InputError, match=r"layer logits: file has \(64, 3\), model has \(64, 4\)"):
        zoo.restore(wrong)


def test_card_of_an_unknown_architecture_gets_the_nearest_name(
    model: keras.Model, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="try ds_cnn"):
        zoo.restore(write(tmp_path / "unknown", model, arch="ds_cn"))


@pytest.mark.parametrize("padding", ["symmetric", "caffe"])
def test_network_pads_as_its_card_says(padding: Padding, tmp_path: Path) -> None:
    body = zoo.build("ds_cnn", shape=(32, 32, 3), alpha=0.25, padding=padding)
    padded = zoo.attach_head(body, len(CLASSES))
    restored = zoo.restore(write(tmp_path / "padded", padded, padding=padding))
    batch = pixels(2).astype(np.float32)
    np.testing.assert_allclose(restored(batch), padded(batch), atol=1e-6)


def test_network_normalizes_as_its_card_says(model: keras.Model, tmp_path: Path) -> None:
    own = Normalization((0.02, 0.01, 0.01), (-2.0, -1.0, 0.0))
    other = zoo.restore(write(tmp_path / "other", model, normalization=own))
    pixels = np.full((1, 4, 4, 3), 200, np.uint8)
    np.testing.assert_allclose(other.get_layer("normalize")(pixels), own.apply(pixels), atol=1e-6)
