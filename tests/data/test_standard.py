"""Public data sets: their files as they are published, small ones made here."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest

from edgecnn.core.errors import InputError
from edgecnn.data import open_data, standard
from edgecnn.data.download import Remote

RANDOM = np.random.default_rng(0)


def _idx(array: np.ndarray) -> bytes:
    head = b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.tobytes()


def _cached(cache: Path, name: str, body: bytes) -> Remote:
    """Put a file where its download would lie."""
    digest = hashlib.sha256(body).hexdigest()
    path = cache / digest[:8] / name
    path.parent.mkdir(parents=True)
    path.write_bytes(body)
    return Remote(url=f"https://nowhere.invalid/{name}", sha256=digest, size=len(body))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path))
    return tmp_path


def test_mnist_comes_split_and_val_is_cut_from_train(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = io.BytesIO()
    train, test = (RANDOM.integers(0, 256, (n, 28, 28), dtype=np.uint8) for n in (200, 20))
    labels = np.arange(200, dtype=np.uint8) % 10
    np.savez(buffer, x_train=train, y_train=labels, x_test=test, y_test=labels[:20])
    monkeypatch.setattr(standard, "_MNIST", _cached(cache, "mnist.npz", buffer.getvalue()))
    data = open_data("mnist")
    assert data.classes == tuple("0123456789")
    assert {part: len(examples) for part, examples in data.parts.items()} == {
        "train": 170,
        "val": 30,
        "test": 20,
    }
    example = data.parts["test"][3]
    assert example.label == 3
    np.testing.assert_array_equal(example.image, test[3])


def test_cifar10_is_read_from_its_binary_version(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = RANDOM.integers(0, 256, (30, 3073), dtype=np.uint8)
    rows[:, 0] = np.arange(30) % 10
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, body in {
            "data_batch_1.bin": rows[:10],
            "data_batch_2.bin": rows[10:20],
            "test_batch.bin": rows[20:],
            "readme.html": rows[0],
        }.items():
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = body.nbytes
            archive.addfile(info, io.BytesIO(body.tobytes()))
    remote = _cached(cache, "cifar-10-binary.tar.gz", buffer.getvalue())
    monkeypatch.setattr(standard, "_CIFAR10", remote)
    data = open_data("cifar10")
    assert data.classes[:3] == ("airplane", "automobile", "bird")
    assert data.manifest.n_train + data.manifest.n_val == 20
    example = data.parts["test"][4]
    assert data.classes[example.label] == "deer"
    assert isinstance(example.image, np.ndarray)
    assert example.image.shape == (32, 32, 3)
    assert example.image[1, 2].tolist() == [rows[24, 1 + plane * 1024 + 34] for plane in range(3)]


@pytest.mark.parametrize("packed", [True, False])
def test_fashion_mnist_is_read_from_debians_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    images = RANDOM.integers(0, 256, (40, 28, 28), dtype=np.uint8)
    labels = np.arange(40, dtype=np.uint8) % 10
    for prefix in ("train", "t10k"):
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            body = _idx(array)
            name = f"{prefix}-{kind}-ubyte"
            (tmp_path / (f"{name}.gz" if packed else name)).write_bytes(
                gzip.compress(body, mtime=0) if packed else body
            )
    monkeypatch.setattr(standard, "DEBIAN_FASHION", tmp_path)
    data = open_data("fashion_mnist")
    assert data.classes[9] == "Ankle boot"
    assert data.manifest.n_test == 40
    np.testing.assert_array_equal(data.parts["test"][5].image, images[5])


@pytest.mark.skipif(
    not standard.DEBIAN_FASHION.is_dir(), reason="needs Debian's package dataset-fashion-mnist"
)
def test_debians_fashion_mnist_is_whole() -> None:
    given = standard.fashion_mnist()
    assert {part: len(examples) for part, examples in given.parts.items()} == {
        "train": 60_000,
        "test": 10_000,
    }
    assert {example.label for example in given.parts["test"]} == set(range(10))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0\0\x08",
        b"\0\0\x08\x00",
        b"\0\0\x09\x01\0\0\0\x01x",
        b"\0\0\x08\x01\0\0\0\x05abc",
        b"\0\0\x08\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x1f\x8bdamaged",
        gzip.compress(_idx(np.zeros(100, np.uint8)), mtime=0)[:-9],
        b"GIF89a",
    ],
)
def test_a_damaged_idx_file_is_refused(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "a").write_bytes(body)
    with pytest.raises(InputError, match="a damaged IDX file"):
        standard.read_idx(tmp_path / "a")


def test_every_data_set_off_line_says_what_to_do(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGECNN_DATA_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(standard, "DEBIAN_FASHION", cache / "none")
    for name in ("mnist", "fashion_mnist", "cifar10"):
        with pytest.raises(InputError, match="go on-line and try again"):
            open_data(name)
