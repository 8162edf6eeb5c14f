"""The reader of HDF5 files by itself, in this process: what it is given here does not crash."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from edgecnn.zoo import h5_child

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def read(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Callable[[Path], tuple[int, bytes, str]]:
    """Run the reader: its exit code, what it writes to stdout and to stderr."""

    def run(path: Path) -> tuple[int, bytes, str]:
        monkeypatch.setattr("sys.argv", ["h5_child.py", str(path)])
        code = h5_child.main()
        captured = capfdbinary.readouterr()
        return code, captured.out, captured.err.decode()

    return run


def chain() -> keras.Model:
    """Twelve convolutions, of 1 to 12 channels: one more than sorts well as text."""
    x = image = keras.Input((4, 4, 1))
    for channels in range(1, 13):
        x = layers.Conv2D(channels, 1, name=f"layer{channels}")(x)
    return keras.Model(image, x)


@pytest.mark.parametrize("name", ["chain.weights.h5", "chain.h5"])
def test_layers_come_in_the_models_order(read, tmp_path: Path, name: str) -> None:
    model = chain()
    if name.endswith(".weights.h5"):
        model.save_weights(tmp_path / name)
    else:
        model.save(tmp_path / name)
    code, out, _ = read(tmp_path / name)
    assert code == 0
    with np.load(io.BytesIO(out), allow_pickle=False) as archive:
        assert [str(text).rpartition("|")[2] for text in archive["names"]] == ["0", "1"] * 12
        kernels = [archive[str(index)].shape[-1] for index in range(0, 24, 2)]
    assert kernels == list(range(1, 13))


def link_elsewhere(file: h5py.File) -> None:
    file["layers/conv2d"] = h5py.ExternalLink("other.h5", "layers/conv2d")


def link_inside(file: h5py.File) -> None:
    file.create_group("elsewhere")
    file["layers/conv2d"] = h5py.SoftLink("/elsewhere")


def store_elsewhere(file: h5py.File) -> None:
    group = file.create_group("layers/conv2d/vars")
    group.create_dataset("0", (8,), "f4", external=[("/etc/hostname", 0, 32)])


def fill_the_memory(file: h5py.File) -> None:
    group = file.create_group("layers/conv2d/vars")
    group.create_dataset("0", (10**6, 10**6), "f4", chunks=(1000, 1000))


def nest_in_itself(file: h5py.File) -> None:
    group = file.create_group("layers/model")
    group["layers"] = file["layers"]


def hold_text(file: h5py.File) -> None:
    file["layers/conv2d/vars/0"] = "text"


def hold_a_group(file: h5py.File) -> None:
    file.create_group("layers/conv2d/vars/0")


def hold_an_array_where_layers_belong(file: h5py.File) -> None:
    file["layers"] = np.zeros(3)


def number_with_words(file: h5py.File) -> None:
    file["layers/conv2d/vars/zero"] = np.zeros(3)


def list_a_layer_that_is_not_there(file: h5py.File) -> None:
    file.attrs["layer_names"] = ["conv"]


def climb_out_of_the_group(file: h5py.File) -> None:
    file.attrs["layer_names"] = ["conv"]
    file.create_group("conv").attrs["weight_names"] = ["../conv/../../kernel"]


@pytest.mark.parametrize(
    "make",
    [
        link_elsewhere,
        link_inside,
        store_elsewhere,
        fill_the_memory,
        nest_in_itself,
        hold_text,
        hold_a_group,
        hold_an_array_where_layers_belong,
        number_with_words,
        list_a_layer_that_is_not_there,
        climb_out_of_the_group,
        lambda file: None,
    ],
)
def test_what_is_no_plain_array_inside_the_file_is_refused(
    read, tmp_path: Path, make: Callable[[h5py.File], None]
) -> None:
    with h5py.File(tmp_path / "hostile.h5", "w") as file:
        make(file)
    code, out, error = read(tmp_path / "hostile.h5")
    assert (code, out, error.count("\n")) == (2, b"", 1)
