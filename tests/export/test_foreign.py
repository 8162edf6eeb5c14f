"""Models that were not trained here, from their file to int8 files that answer alike."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgecnn.core.errors import InputError
from edgecnn.core.normalization import Normalization, same_for_all

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

MINUS_ONE_TO_ONE = same_for_all(1 / 127.5, -1.0)
SIZE = 24


@pytest.fixture(scope="module")
def trained(photo_folder):
    """A network that tells the photos' colours apart, of nested models, with logits."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(2)
    image = keras.Input((SIZE, SIZE, 3))
    stem = keras.Sequential([layers.Conv2D(8, 3, 2, use_bias=False), layers.BatchNormalization()])
    x = layers.ReLU(6)(stem(image))
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    y = layers.Activation("swish")(layers.BatchNormalization()(y))
    x = layers.BatchNormalization()(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    model = keras.Model(image, layers.Dense(3)(x))
    pixels, labels = photos_of(photo_folder)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.optimizer.learning_rate = 0.02
    model.fit(MINUS_ONE_TO_ONE.apply(pixels), labels, epochs=12, batch_size=12, verbose=0)
    return model


def photos_of(folder):
    from edgecnn.core import image
    from edgecnn.core.image import Preprocessing

    how = Preprocessing(height=SIZE, width=SIZE)
    found = [
        (image.load(path, how), label)
        for label, name in enumerate(("blue", "green", "red"))
        for path in sorted((folder / name).iterdir())
    ]
    return np.stack([pixels for pixels, _ in found]), np.array([label for _, label in found])


@pytest.fixture(scope="module")
def files(trained, tmp_path_factory):
    """The network as a Keras file, a SavedModel and an ONNX file with channels first."""
    import keras

    from edgecnn.convert import onnx as to_onnx
    from edgecnn.convert.frozen import freeze_call

    folder = tmp_path_factory.mktemp("foreign")
    trained.save(folder / "net.keras")
    trained.export(folder / "saved", verbose=False)

    def first(image):
        return trained(keras.ops.transpose(image, (0, 2, 3, 1)), training=False)

    frozen = freeze_call(first, (1, 3, SIZE, SIZE))
    (folder / "net.onnx").write_bytes(to_onnx.float32(frozen))
    (folder / "labels.txt").write_text("blue\ngreen\nred\n")
    return folder


def exported(path, kind, out, photo_folder, **more):
    from edgecnn.export import Options
    from edgecnn.export.foreign import Model, export_foreign

    options = Options(
        formats=("tflite", "onnx"),
        schemes=("float32", "int8"),
        calibration=str(photo_folder),
        calibration_count=40,
        rounding="nearest",
    )
    settings = {"normalization": MINUS_ONE_TO_ONE, "labels": path.parent / "labels.txt", **more}
    return export_foreign(Model(path=path, kind=kind, **settings), out, options)


@pytest.mark.parametrize(
    ("name", "kind"), [("net.keras", "keras"), ("saved", "saved_model"), ("net.onnx", "onnx")]
)
def test_each_kind_becomes_files_that_answer_as_it_does(
    files, trained, photo_folder, tmp_path, name, kind
) -> None:
    from edgecnn.runtime import load

    artifacts = exported(files / name, kind, tmp_path, photo_folder)
    pixels, labels = photos_of(photo_folder)
    logits = np.asarray(trained(MINUS_ONE_TO_ONE.apply(pixels), training=False))
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for artifact in artifacts:
        model = load(artifact.path)
        found = model.run(pixels)
        bound = 1e-4 if artifact.metadata.scheme == "float32" else 0.08
        assert np.abs(found - expected).max() < bound, artifact.path
        assert np.mean(found.argmax(1) == labels) > 0.9
        assert model.classes == ("blue", "green", "red")
        measured = artifact.metadata.measured
        assert (measured.split, measured.top1) == ("calibration", None)
        assert measured.agreement_pct > 90
        assert 0 < measured.n < len(labels) or artifact.metadata.scheme == "float32"
    assert {a.path.name for a in artifacts} == {
        f"{Path(name).stem}-{scheme}.{suffix}"
        for scheme in ("float32", "int8")
        for suffix in ("tflite", "onnx")
    }


@pytest.mark.usefixtures("opened_once")
def test_such_files_verify_against_each_other(files, photo_folder, tmp_path) -> None:
    from edgecnn.flows.judging import Limits, Photos, verify

    exported(files / "net.keras", "keras", tmp_path, photo_folder)
    paths = sorted(tmp_path.glob("*.tflite")) + sorted(tmp_path.glob("*.onnx"))
    parity = verify(
        paths, Photos(source=str(photo_folder)), against=None, limits=Limits(min_agreement_pct=90)
    )
    assert parity.passed


def test_a_command_says_what_it_does_and_nothing_of_frameworks(
    files, photo_folder, tmp_path
) -> None:
    words = ["export", files / "net.keras", "--int8", "--rounding", "nearest", "--out", tmp_path]
    words += ["--normalize", "[-1,1]", "--calibration", photo_folder]
    command = [sys.executable, "-m", "edgecnn", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert [line.split()[0] for line in done.stderr.splitlines()] == ["reading", "note:", "note:"]


@pytest.fixture(scope="module")
def opened(files):
    from edgecnn.convert.foreign import open_foreign

    return open_foreign(files / "net.keras", "keras")


@pytest.fixture
def opened_once(opened, monkeypatch):
    """Let exports take the network that was read already: reading starts a process each time."""
    from edgecnn.convert import foreign

    monkeypatch.setattr(foreign, "open_foreign", lambda *_, **__: opened)


@pytest.mark.usefixtures("opened_once")
def test_how_it_wants_its_pixels_is_asked_for(files, photo_folder, tmp_path) -> None:
    with pytest.raises(InputError, match=r"how it wants its pixels .*--normalize"):
        exported(files / "net.keras", "keras", tmp_path, photo_folder, normalization=None)


@pytest.mark.usefixtures("opened_once")
def test_numbers_for_another_count_of_channels_are_refused(files, photo_folder, tmp_path) -> None:
    two = Normalization((1.0, 1.0), (0.0, 0.0))
    with pytest.raises(InputError, match="2 numbers for 3 channels"):
        exported(files / "net.keras", "keras", tmp_path, photo_folder, normalization=two)


@pytest.mark.parametrize(
    ("shape", "size", "found"),
    [
        ((None, 24, 24, 3), None, (1, 24, 24, 3)),
        ((1, None, None, 1), [48, 192], (1, 48, 192, 1)),
        ((None, 24, 24, 3), [32, 32], "24x24 pixels"),
        ((None, None, 24, 3), None, "open height"),
        ((None, 3, 24, 24), None, "channels last"),
        ((None, 784), None, "input of shape"),
        ((8, 24, 24, 3), None, "input of shape"),
    ],
)
def test_a_size_is_taken_where_the_model_leaves_it_open(shape, size, found) -> None:
    from edgecnn.convert.foreign_child import _image_shape

    if isinstance(found, tuple):
        assert _image_shape(shape, size, where=Path("m")) == found
        return
    with pytest.raises(InputError, match=found):
        _image_shape(shape, size, where=Path("m"))


@pytest.mark.usefixtures("opened_once")
def test_names_for_another_number_of_classes_are_refused(files, photo_folder, tmp_path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("one\ntwo\n")
    with pytest.raises(InputError, match="2 names for a model of 3 classes"):
        exported(files / "net.keras", "keras", tmp_path, photo_folder, labels=labels)


@pytest.mark.usefixtures("opened_once")
def test_int8_asks_for_photos(files, tmp_path) -> None:
    from edgecnn.export import Options
    from edgecnn.export.foreign import Model, export_foreign

    model = Model(path=files / "net.keras", kind="keras", normalization=MINUS_ONE_TO_ONE)
    with pytest.raises(InputError, match=r"int8 needs photos .*--calibration"):
        export_foreign(model, tmp_path, Options(schemes=("int8",)))


def test_a_folder_of_loose_photos_calibrates(pictures, tmp_path) -> None:
    from PIL import Image

    from edgecnn.export.foreign_photos import _photos

    for index, picture in enumerate(pictures[:3]):
        Image.fromarray(picture).save(tmp_path / f"{index}.png")
    (tmp_path / "notes.txt").write_text("x")
    assert [example.name for example in _photos(str(tmp_path))] == ["0.png", "1.png", "2.png"]


def test_a_file_that_kills_its_reader_ends_in_one_line(tmp_path, monkeypatch) -> None:
    from edgecnn.convert import foreign

    monkeypatch.setattr(foreign, "_START", "import os, signal; os.kill(os.getpid(), 11)")
    with pytest.raises(InputError, match=r"crashes its reader \(ended by SIGSEGV\)"):
        foreign.open_foreign(tmp_path / "net.keras", "keras")


def test_a_reader_that_wants_all_memory_dies_alone(tmp_path) -> None:
    import json
    import zipfile

    from edgecnn.convert import foreign

    dense = {"class_name": "Dense", "config": {"name": "vast", "units": 10**9}}
    image = {"class_name": "InputLayer", "config": {"batch_shape": [None, 32, 32, 3]}}
    for layer in (dense, image):
        layer |= {"module": "keras.layers", "registered_name": None}
    config = {"name": "m", "layers": [image, dense], "build_input_shape": [None, 32, 32, 3]}
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(
            {"module": "keras", "class_name": "Sequential", "config": config,
             "registered_name": None}
        ))  # fmt: skip
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
        archive.writestr("model.weights.h5", _empty_h5(tmp_path))
    with pytest.raises(InputError):
        foreign.open_foreign(path, "keras")


def _empty_h5(folder):
    import h5py

    path = folder / "w.h5"
    with h5py.File(path, "w"):
        pass
    return path.read_bytes()


def test_a_real_quantized_file_from_elsewhere_is_no_start(tmp_path) -> None:
    from edgecnn.core.foreign import kind_of

    shared = Path(os.environ.get("EDGECNN_SHARED", Path(__file__).parents[3] / "shared"))
    path = shared / "models" / "mobilenet_v1_0.25_128_quant.tflite"
    if not path.is_file():
        pytest.skip("no foreign model at hand")
    with pytest.raises(InputError, match="a TFLite file"):
        kind_of(path)
