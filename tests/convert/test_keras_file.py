from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest

from edgecnn.core.errors import InputError

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def network():
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3))
    inner = keras.Sequential([layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU()])
    x = layers.GlobalAveragePooling2D()(inner(image))
    return keras.Model(image, layers.Dense(3, activation="softmax")(x))


@pytest.fixture(scope="module")
def saved(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    for suffix in ("keras", "h5"):
        network.save(folder / f"m.{suffix}")
    return folder


def load(path):
    from edgecnn.convert.keras_file import load as open_file

    return open_file(path)


def refusal(path, data):
    path.write_bytes(data)
    with pytest.raises(InputError) as error:
        load(path)
    return str(error.value)


def rewritten(data, **members):
    """Return an archive with some members replaced or added."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, members.pop(name, old.read(name)))
        for name, content in members.items():
            new.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_a_model_of_kerass_own_layers_answers_as_before(saved, network, suffix) -> None:
    photos = np.random.default_rng(0).random((2, 16, 16, 3)).astype(np.float32)
    found = load(saved / f"m.{suffix}")(photos)
    assert np.allclose(found, network(photos), atol=1e-6)


def test_a_lambda_is_refused_by_name_and_never_run(tmp_path) -> None:
    import keras

    image = keras.Input((8, 8, 3))
    doubled = keras.layers.Lambda(lambda x: x * 2, name="double")(image)
    model = keras.Model(image, keras.layers.Flatten()(doubled))
    for suffix in ("keras", "h5"):
        model.save(tmp_path / f"m.{suffix}")
        with pytest.raises(InputError, match=r"layer 'double' \(Lambda\)"):
            load(tmp_path / f"m.{suffix}")


def test_members_that_no_model_needs_are_left_behind(saved, tmp_path) -> None:
    data = (saved / "m.keras").read_bytes()
    (tmp_path / "m.keras").write_bytes(rewritten(data, **{"../../evil.txt": b"", "assets/x": b"y"}))
    load(tmp_path / "m.keras")
    assert not list(tmp_path.parent.glob("**/evil.txt"))


def test_hostile_archives_are_one_line_each(saved, tmp_path) -> None:
    data = (saved / "m.keras").read_bytes()
    path = tmp_path / "m.keras"
    assert "damaged .keras archive" in refusal(path, data[: len(data) // 2])
    assert "not JSON" in refusal(path, rewritten(data, **{"config.json": b"{" * 9}))
    assert "damaged HDF5" in refusal(path, rewritten(data, **{"model.weights.h5": b"\x89HDF"}))
    config = json.dumps({"class_name": "Functional", "config": {}})
    assert "Keras refuses" in refusal(path, rewritten(data, **{"config.json": config}))
    assert "neither a .keras nor an .h5" in refusal(path, b"\x00\x01garbage")
    assert "no such" in _missing(tmp_path)


def _missing(folder):
    with pytest.raises(InputError) as error:
        load(folder / "gone.keras")
    return str(error.value)


def test_an_archive_that_unfolds_without_end_is_not_read(saved, tmp_path, monkeypatch) -> None:
    from edgecnn.convert import keras_file

    monkeypatch.setitem(keras_file._LIMITS, "config.json", 5_000_000)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b" " * 20_000_000)
        archive.writestr("model.weights.h5", b"")
        archive.writestr("metadata.json", b"{}")
    assert len(out.getvalue()) < 100_000
    assert "of more than 5 MB" in refusal(tmp_path / "m.keras", out.getvalue())


@pytest.mark.parametrize("kind", ["soft", "external", "outside", "circle"])
def test_an_hdf5_file_with_ways_out_of_it_is_refused(saved, tmp_path, kind) -> None:
    import h5py

    path = tmp_path / "m.h5"
    path.write_bytes((saved / "m.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        if kind == "soft":
            file["model_weights/link"] = h5py.SoftLink("/model_weights")
        elif kind == "external":
            file["model_weights/link"] = h5py.ExternalLink("/etc/passwd", "/")
        elif kind == "outside":
            file.create_dataset("raw", (4,), "u1", external=[("/etc/passwd", 0, 4)])
        else:
            file["model_weights/again"] = file["model_weights"]
    with pytest.raises(InputError, match="damaged HDF5"):
        load(path)


def test_weights_alone_are_no_model(network, tmp_path) -> None:
    network.save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(InputError, match="without a description"):
        load(tmp_path / "m.weights.h5")
