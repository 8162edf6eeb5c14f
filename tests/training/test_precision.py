from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from edgecnn import zoo
from edgecnn.core.errors import InputError
from edgecnn.training import make_recipe, train
from edgecnn.training.course import Course
from edgecnn.training.loop import Lesson, Schedule, fit
from edgecnn.training.network import Network
from edgecnn.training.phases import run_phases
from edgecnn.training.photos import Photos
from edgecnn.training.precision import in_half, require_gpu, scaled
from edgecnn.training.work import WorkFolder

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def body() -> keras.Model:
    keras.utils.set_random_seed(0)
    x = image = keras.Input((8, 8, 3))
    x = layers.Rescaling(1 / 127.5, -1.0)(x)
    x = layers.Conv2D(4, 3, use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    return keras.Model(image, layers.GlobalAveragePooling2D()(x))


def test_the_copy_computes_in_half_and_keeps_its_weights_whole(body: keras.Model) -> None:
    copy = in_half(body)
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)
    exact, rough = np.asarray(body(pixels)), np.asarray(copy(pixels))
    assert (exact.dtype, rough.dtype) == (np.float32, np.float16)
    np.testing.assert_allclose(rough, exact, atol=5e-3)
    assert {weight.dtype for weight in copy.weights} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"


def test_small_gradients_survive_because_the_loss_is_scaled() -> None:
    variable = keras.Variable([1.0])
    optimizer = scaled(keras.optimizers.SGD(1.0))
    optimizer.build([variable])
    # 1e-8 is nothing in float16.
    assert np.float16(1e-8) == 0
    scaled_up = np.float16(np.asarray(optimizer.scale_loss(np.float32(1e-8))))
    assert scaled_up > 0
    optimizer.apply([np.asarray([scaled_up], np.float32)], [variable])
    assert 1.0 - float(variable.numpy()[0]) == pytest.approx(1e-8, abs=1e-7)


def test_a_step_that_overflows_changes_nothing() -> None:
    variable = keras.Variable([1.0])
    optimizer = scaled(keras.optimizers.SGD(1.0))
    optimizer.build([variable])
    optimizer.apply([np.asarray([np.inf], np.float32)], [variable])
    assert float(variable.numpy()[0]) == 1.0


def learn(body: keras.Model, work: Path, *, mixed_precision: bool, epochs: int = 6) -> Any:
    labels = np.arange(24) % 2
    pixels = np.full((24, 8, 8, 3), 30, np.uint8)
    pixels[labels == 1] = 220
    lesson = Lesson(
        inputs=lambda _epoch: pixels,
        labels=labels,
        weights=np.ones(24, np.float32),
        val_inputs=pixels,
        val_labels=labels,
    )
    schedule = Schedule(
        name="scratch",
        epochs=epochs,
        rate=0.05,
        batch=8,
        weight_decay=0.0,
        ema=0.5,
        label_smoothing=0.0,
        mixup=0.2,
        patience=9,
        mixed_precision=mixed_precision,
        seed=0,
    )
    classifier = layers.Dense(2)
    classifier.build((None, 4))
    network = Network(body, classifier, dropout=0.1, learn_statistics=True)
    return fit(network, schedule, lesson, WorkFolder(work), started=time.perf_counter())


def test_a_network_in_half_learns_like_a_whole_one(body: keras.Model, tmp_path: Path) -> None:
    copy = in_half(body)
    (tmp_path / "half").mkdir()
    (tmp_path / "whole").mkdir()
    half = learn(copy, tmp_path / "half", mixed_precision=True)
    whole = learn(body, tmp_path / "whole", mixed_precision=False)
    assert half.best_top1 == whole.best_top1 == 1.0
    assert half.best_loss == pytest.approx(whole.best_loss, abs=0.1)


def test_a_killed_run_in_half_continues_with_its_scale(body: keras.Model, tmp_path: Path) -> None:
    first = learn(in_half(body), tmp_path, mixed_precision=True, epochs=2)
    again = learn(in_half(body), tmp_path, mixed_precision=True, epochs=2)
    assert again.history == first.history


@pytest.mark.parametrize("start", ["none", "some.h5"])
def test_a_course_in_half_leaves_a_whole_classifier(tmp_path: Path, start: str) -> None:
    keras.utils.set_random_seed(0)
    model = zoo.attach_head(zoo.build("ds_cnn", shape=(32, 32, 3), alpha=0.25), 2)
    before = [weight.numpy() for weight in model.trainable_weights]
    labels = np.arange(16) % 2
    pixels = np.where(labels[:, None, None, None], 220, 30).astype(np.uint8)
    photos = Photos(np.broadcast_to(pixels, (16, 32, 32, 3)).copy(), labels, 0)
    options = {"arch": "ds_cnn", "alpha": 0.25, "size": 32, "batch": 8, "augment": "none"}
    recipe = make_recipe(
        **options,
        weights=start,
        tune_from=0.0,
        head_epochs=0,
        tune_epochs=12,
        ema=0.0,  # the average of so few steps were still the beginning
        mixed_precision=True,
    )
    course = Course(
        recipe=recipe,
        model=model,
        train=photos,
        val=photos,
        weights=np.ones(16, np.float32),
        flip=False,
        work=WorkFolder(tmp_path),
    )
    _, history = run_phases(course)
    assert min(epoch.loss for epoch in history) < history[0].loss
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert np.asarray(model(photos.pixels)).dtype == np.float32
    changed = [
        np.any(old != new.numpy()) for old, new in zip(before, model.trainable_weights, strict=True)
    ]
    # From scratch, batch norm's statistics are too young after 24 steps for a better loss.
    assert any(changed) or start == "none"


def test_a_machine_without_a_gpu_is_told_in_one_line(tmp_path: Path, photo_folder: Path) -> None:
    with pytest.raises(InputError, match="no GPU for --mixed-precision in this machine: leave"):
        require_gpu()
    recipe = make_recipe(arch="ds_cnn", mixed_precision=True)
    with pytest.raises(InputError, match="no GPU"):
        train(str(photo_folder), tmp_path / "out", recipe)
    assert not list(tmp_path.iterdir())
