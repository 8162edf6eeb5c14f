from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgecnn import zoo
from edgecnn.training import loop, make_recipe, train
from edgecnn.training.auxiliary import with_auxiliary
from edgecnn.training.network import Network
from edgecnn.training.work import WorkFolder

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]


def googlenet(classes: int) -> keras.Model:
    return zoo.attach_head(zoo.build("googlenet", shape=(32, 32, 3)), classes)


def small_network(seed: int) -> Network:
    """A network with batch norm, dropout, and one auxiliary classifier in its middle."""
    keras.utils.set_random_seed(seed)
    model = zoo.attach_head(zoo.build("ds_cnn", shape=(32, 32, 3), alpha=0.25), 3)
    pooled = keras.Model(model.input, model.get_layer("dropout").input)
    body = with_auxiliary(pooled, ["stage1_block0_pointwise_relu"], 3, seed=0)
    logits = model.get_layer("logits")
    return Network(body, logits, dropout=0.2, learn_statistics=True)


def fit(network: Network, folder: Path) -> loop.Progress:
    schedule = loop.Schedule(
        name="scratch",
        epochs=4,
        rate=0.01,
        batch=8,
        weight_decay=1e-4,
        ema=0.9,
        label_smoothing=0.1,
        mixup=0.2,
        patience=9,
        seed=0,
    )
    labels = np.arange(24) % 3
    photos = np.random.default_rng(0).integers(0, 90, (24, 32, 32, 3), dtype=np.uint8)
    photos[np.arange(24), :, :, labels] += 120
    lesson = loop.Lesson(
        inputs=lambda _epoch: photos,
        labels=labels,
        weights=np.ones(24, np.float32),
        val_inputs=photos,
        val_labels=labels,
    )
    return loop.fit(network, schedule, lesson, WorkFolder(folder), started=time.perf_counter())


def interrupted_after(epochs: int) -> Callable[..., bool]:
    """Return an epoch that runs so many times and is then stopped by Ctrl-C."""
    real, runs = loop._Trainer.run_epoch, iter(range(epochs))

    def run_epoch(*arguments: object) -> bool:
        if next(runs, None) is None:
            raise KeyboardInterrupt
        return real(*arguments)  # type: ignore[arg-type]

    return run_epoch


@pytest.mark.uncounted
def test_googlenet_learns_and_keeps_no_auxiliary_layer(photo_folder: Path, tmp_path: Path) -> None:
    recipe = make_recipe(
        arch="googlenet",
        size=32,
        tune_epochs=5,
        batch=8,
        augment="none",
        mixup=0.0,
        label_smoothing=0.0,
    )
    run = train(str(photo_folder), tmp_path / "run", recipe)
    losses = [epoch.loss for epoch in run.card.history]
    assert losses[-1] < 0.7 * losses[0]
    assert run.card.params == googlenet(3).count_params()
    restored = zoo.restore(run)  # refuses a file that has more layers than the network
    assert not [layer.name for layer in restored.layers if "auxiliary" in layer.name]


@pytest.mark.uncounted
def test_interrupted_training_of_auxiliary_layers_continues_to_the_same_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "halves").mkdir()
    whole = small_network(seed=1)
    expected = fit(whole, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(loop._Trainer, "run_epoch", interrupted_after(2))
        with pytest.raises(KeyboardInterrupt):
            fit(small_network(seed=1), tmp_path / "halves")
    resumed = small_network(seed=2)  # its own start must not matter any more
    progress = fit(resumed, tmp_path / "halves")
    assert progress.history == expected.history
    assert all(map(np.array_equal, resumed.values(), whole.values()))


def test_auxiliary_logits_teach_the_layers_below_them() -> None:
    network = small_network(seed=1)
    photos = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    with tf.GradientTape() as tape:
        logits, auxiliary = network.learn(photos, tf.constant([1, 2]))
        loss = tf.reduce_sum(auxiliary**2)
    assert logits.shape == auxiliary.shape == (8, 3)
    gradients = tape.gradient(loss, [weight.value for weight in network.trainable])
    taught = {
        weight.path
        for weight, gradient in zip(network.trainable, gradients, strict=True)
        if gradient is not None and np.any(gradient)
    }
    assert {"auxiliary0_logits/kernel", "stem_conv/kernel"} <= taught
    assert "logits/kernel" not in taught
    assert network.answer(photos).shape == (8, 3)  # the network's own, and nothing else


def test_auxiliary_classifier_is_the_papers_at_its_size() -> None:
    with keras.StatelessScope(initialize_variables=False):
        body = zoo.build("googlenet", shape=(224, 224, 3))
        taps = zoo.find("googlenet").auxiliary
        model = with_auxiliary(body, taps, 1000, seed=0)
    # 4x4 places of 512 and of 528 channels: the paper's sections 4a and 4d
    extra = [n * 128 + 128 + 16 * 128 * 1024 + 1024 + 1024 * 1000 + 1000 for n in (512, 528)]
    assert model.count_params() == body.count_params() + sum(extra)
    assert [tuple(shape) for shape in model.output_shape] == [
        (None, 7, 7, 1024),
        (None, 1000),
        (None, 1000),
    ]


def test_network_without_taps_stays_as_it_is() -> None:
    body = googlenet(3)
    assert with_auxiliary(body, (), 3, seed=0) is body


def test_auxiliary_weights_are_the_same_each_time() -> None:
    first, second = (
        with_auxiliary(googlenet(3), zoo.find("googlenet").auxiliary, 3, seed=5) for _ in range(2)
    )
    name = "auxiliary1_dense"
    one, other = (model.get_layer(name).get_weights() for model in (first, second))
    assert all(map(np.array_equal, one, other))
