"""Fixtures that several rooms share: real photos, small real models."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import coverage
import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

# Before any test module imports TensorFlow, which reads it once: its notes would stand in front
# of the errors that tests look for.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# A first example imports TensorFlow or meets a busy machine: time is no property here.
settings.register_profile("edgecnn", deadline=None)
settings.load_profile("edgecnn")

SHARED = Path(os.environ.get("EDGECNN_SHARED", Path(__file__).parents[2] / "shared"))

# What continuous integration must not skip: there `.ci/run` has installed all that they need.
NEVER_SKIPPED_IN_CI = frozenset({"board", "browser", "network", "vulkan"})


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Where CI is set, turn a skipped browser or environment test into a failure."""
    report = yield
    marks = {mark.name for mark in item.iter_markers()}
    if report.skipped and os.environ.get("CI") and marks & NEVER_SKIPPED_IN_CI:
        report.outcome = "failed"
        report.longrepr = f"skipped where CI is set: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Run a test marked "uncounted" without coverage, which makes TensorFlow a third slower."""
    counting = coverage.Coverage.current()
    if counting is None or not item.get_closest_marker("uncounted"):
        return (yield)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # nor in processes that it starts
        counting.stop()
        try:
            return (yield)
        finally:
            counting.start()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real photos and weights that tests may use where it is present."""
    if not (SHARED / "data").is_dir():
        pytest.skip("real photos are absent: set EDGECNN_SHARED to their folder")
    return SHARED


@pytest.fixture(scope="session", autouse=True)
def _own_turns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let no test wait until another worker, or whoever else measures here, is done."""
    folder = tmp_path_factory.mktemp("turns")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgecnn.targets.turns._folder", lambda: folder)
        yield


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A function of a name and of what fills a folder: returns the folder that all workers share.

    Whoever comes first fills it, the others wait for that; all of them only read it.
    """
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # each worker has a folder of its own in there

    def make(name: str, fill: Callable[[Path], object]) -> Path:
        folder, done = root / f"once-{name}", root / f"once-{name}.done"
        with (root / f"once-{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                fill(folder)
                done.touch()
        return folder

    return make


@pytest.fixture(scope="session")
def tiny_files(once: Callable[..., Path]) -> Path:
    """A folder with tiny-float32.tflite, tiny-int8.tflite, tiny-float32.onnx and two more.

    tiny-mixed.tflite has an operation that no GPU takes, tiny-overflow.tflite numbers in the
    middle that float16 can't hold; the others are as follows.

    Made by the stock converters from one separable network, [1, 32, 32, 3] pixels 0..255
    to 4 probabilities: foreign files, without any metadata of ours.
    """
    pytest.importorskip("tensorflow")
    script = Path(__file__).parent / "tiny_models.py"

    def fill(folder: Path) -> None:
        subprocess.run([sys.executable, script, folder], check=True, capture_output=True)

    return once("tiny", fill)


@pytest.fixture(scope="session")
def photo_folder(once: Callable[..., Path]) -> Path:
    """A folder with blue/, green/ and red/: 20 small JPEG photos each, easy to tell apart."""
    return once("photos", _draw_photos)


def _draw_photos(folder: Path) -> None:
    random = np.random.default_rng(0)
    for channel, name in ((2, "blue"), (1, "green"), (0, "red")):
        (folder / name).mkdir()
        for index in range(20):
            pixels = random.integers(0, 90, (40, 48, 3), dtype=np.uint8)
            pixels[..., channel] += 120
            Image.fromarray(pixels).save(folder / name / f"{index:02}.jpg", quality=90)


@pytest.fixture(scope="session")
def separable_network() -> Any:
    """A small separable network with random, trained-looking batch norms, as ours are made.

    [32, 32, 3] pixels 0..255, its layer "normalize" to -1..1, 5 probabilities; it has a
    residual add, a stride, a standalone ReLU, max pooling, a dead filter and a tiny one.
    """
    pytest.importorskip("tensorflow")
    import keras
    from keras import layers

    keras.utils.set_random_seed(3)
    image = keras.Input((32, 32, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="normalize")(image)
    x = layers.Conv2D(8, 3, 2, "same", use_bias=False, name="stem")(x)
    x = layers.ReLU(6, name="stem_relu")(layers.BatchNormalization(name="stem_bn")(x))
    y = layers.DepthwiseConv2D(3, 1, "same", use_bias=False, name="depthwise")(x)
    y = layers.ReLU(6, name="depthwise_relu")(layers.BatchNormalization(name="depthwise_bn")(y))
    y = layers.Conv2D(8, 1, use_bias=False, name="project")(y)
    y = layers.BatchNormalization(name="project_bn")(y)
    x = layers.ReLU(name="relu")(layers.Add(name="add")([x, y]))
    x = layers.MaxPooling2D(2, name="pool2")(x)
    x = layers.SeparableConv2D(12, 3, padding="same", use_bias=False, name="separable")(x)
    x = layers.ReLU(name="last_relu")(layers.BatchNormalization(name="separable_bn")(x))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Softmax(name="probabilities")(layers.Dense(5, name="logits")(x))
    model = keras.Model(image, x)
    random = np.random.default_rng(5)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            n = layer.gamma.shape[0]
            layer.set_weights(
                [
                    random.uniform(0.5, 1.5, n),
                    random.normal(0, 0.3, n),
                    random.normal(0, 0.2, n),
                    random.uniform(0.2, 1.0, n),
                ]
            )
    kernel, bias = model.get_layer("logits").get_weights()
    model.get_layer("logits").set_weights([kernel * 6, bias])
    (stem,) = model.get_layer("stem").get_weights()
    stem[..., 0], stem[..., 1] = 0.0, stem[..., 1] * 1e-9
    model.get_layer("stem").set_weights([stem])
    return model


@pytest.fixture(scope="session")
def pictures() -> Any:
    """64 smooth random pictures, [64, 32, 32, 3] uint8: blobs of colour, not noise."""
    random = np.random.default_rng(11)
    small = random.integers(0, 256, (64, 5, 5, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(p).resize((32, 32))) for p in small])


@pytest.fixture(scope="session")
def checkpoint(once: Callable[..., Path]) -> Any:
    """A real checkpoint: a small separable network trained on digits for a few epochs."""
    pytest.importorskip("tensorflow")
    from edgecnn.core import checkpoint as checkpoints
    from edgecnn.training import train
    from edgecnn.training.recipe import Recipe

    recipe = Recipe(arch="ds_cnn", weights="none", size=32, tune_epochs=3, views=1, augment="none")
    folder = once("checkpoint", lambda folder: train("digits", folder / "digits", recipe))
    return checkpoints.read(folder / "digits")


@pytest.fixture(scope="session")
def exported(checkpoint: Any, once: Callable[..., Path]) -> Any:
    """The checkpoint's files, every scheme in both formats: a list of Artifacts."""
    from edgecnn.core.artifact import Artifact
    from edgecnn.export import Options, export
    from edgecnn.runtime import metadata

    options = Options(formats=("tflite", "onnx"), schemes=("float32", "float16", "dynamic", "int8"))
    folder = once("exported", lambda folder: export(checkpoint, folder, options))
    rows = json.loads((folder / "export.json").read_text())["artifacts"]
    return [
        Artifact(
            path=path,
            metadata=metadata.read_metadata(path),
            bytes=row["bytes"],
            sha256=row["sha256"],
            seconds=row["seconds"],
        )
        for row in rows
        for path in [folder / Path(row["path"]).name]
    ]


@pytest.fixture(scope="session")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Any]]:
    """A function that returns the running emulated board of a name, started at its first use."""
    from edgecnn.core.errors import InputError
    from edgecnn.targets.emulated import find, start

    running: dict[str, Any] = {}

    def board(name: str) -> Any:
        if name not in running:
            try:
                running[name] = start(find(name), tmp_path_factory.mktemp("board") / name)
            except InputError as error:
                pytest.skip(str(error))
        return running[name]

    yield board
    for machine in running.values():
        machine.stop()
