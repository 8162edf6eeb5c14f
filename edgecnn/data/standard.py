"""Small public data sets by name."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn.core.errors import InputError, MissingExtra
from edgecnn.data.dataset import Given
from edgecnn.data.download import Remote, fetch
from edgecnn.data.example import Example

Part: TypeAlias = tuple[npt.NDArray[np.uint8], npt.NDArray[Any]]
"""Pixels [N, H, W] or [N, H, W, 3], uint8, and labels [N]."""

DIGITS = tuple("0123456789")
CLOTHES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
THINGS = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)

DEBIAN_FASHION = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts its files."""

_KERAS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
# Hash: keras/src/datasets/mnist.py.
_MNIST = Remote(
    url=_KERAS + "mnist.npz",
    sha256="731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
    size=11_490_434,
)
# Keras publishes no hashes of these four; those of tensorflow-datasets stand in.
_FASHION = {
    ("train", "images"): Remote(
        url=_KERAS + "train-images-idx3-ubyte.gz",
        sha256="3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        size=26_421_880,
    ),
    ("train", "labels"): Remote(
        url=_KERAS + "train-labels-idx1-ubyte.gz",
        sha256="a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        size=29_515,
    ),
    ("test", "images"): Remote(
        url=_KERAS + "t10k-images-idx3-ubyte.gz",
        sha256="346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        size=4_422_102,
    ),
    ("test", "labels"): Remote(
        url=_KERAS + "t10k-labels-idx1-ubyte.gz",
        sha256="67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        size=5_148,
    ),
}
# The binary version: the Python one, which Keras takes, is pickled. Hash: tensorflow-datasets.
_CIFAR10 = Remote(
    url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    size=170_052_171,
)


def digits() -> Given:
    """Return scikit-learn's 1,797 handwritten digits, 8×8, grey.

    Source: Alpaydin and Kaynak 1998, UCI machine learning repository.

    Raises:
        MissingExtra: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise MissingExtra("the data set digits", "train") from None
    data = load_digits()
    pixels = np.rint(data.images * (255 / 16)).astype(np.uint8)  # given as 0..16
    return _given("digits", DIGITS, {"all": (pixels, data.target)})


def mnist() -> Given:
    """Return MNIST: 70,000 handwritten digits, 28×28, grey (LeCun et al. 1998).

    Raises:
        InputError: it can't be downloaded.
    """
    with np.load(fetch(_MNIST), allow_pickle=False) as data:
        parts = {part: (data[f"x_{part}"], data[f"y_{part}"]) for part in ("train", "test")}
    return _given("mnist", DIGITS, parts)


def fashion_mnist() -> Given:
    """Return Fashion-MNIST: 70,000 clothes, 28×28, grey (Xiao et al. 2017, arXiv:1708.07747).

    Debian's files are used where they are installed.

    Raises:
        InputError: it can't be downloaded, or Debian's files are damaged.
    """
    arrays = {key: read_idx(_fashion_file(remote)) for key, remote in _FASHION.items()}
    parts = {part: (arrays[part, "images"], arrays[part, "labels"]) for part in ("train", "test")}
    return _given("fashion_mnist", CLOTHES, parts)


def cifar10() -> Given:
    """Return CIFAR-10: 60,000 photos, 32×32, RGB (Krizhevsky 2009).

    Raises:
        InputError: it can't be downloaded.
    """
    batches: dict[str, list[npt.NDArray[np.uint8]]] = {"train": [], "test": []}
    with tarfile.open(fetch(_CIFAR10)) as archive:
        for member in sorted(archive, key=lambda member: member.name):
            name = member.name.rsplit("/", 1)[-1]
            file = (
                archive.extractfile(member)
                if name.endswith("_batch.bin") or name.startswith("data_batch")
                else None
            )
            if file:
                part = "test" if name.startswith("test") else "train"
                # One byte of label, then the red, green and blue planes.
                batches[part].append(np.frombuffer(file.read(), np.uint8).reshape(-1, 3073))
    parts = {}
    for part, rows in batches.items():
        data = np.concatenate(rows)
        planes = data[:, 1:].reshape(-1, 3, 32, 32)
        parts[part] = (np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), data[:, 0])
    return _given("cifar10", THINGS, parts)


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """Read an array of bytes in MNIST's IDX format, gzipped or not.

    Source of the format: LeCun, Cortes and Burges, the MNIST database, "FILE FORMATS".

    Raises:
        InputError: another kind of file, or a damaged one.
    """
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path) from error
    axes = data[3] if len(data) > 3 else 0
    shape = np.frombuffer(data, ">u4", axes, offset=4) if len(data) >= 4 + 4 * axes else np.zeros(1)
    body = len(data) - 4 - 4 * axes
    # Two zero bytes, then 8: unsigned bytes.
    if data[:3] != b"\x00\x00\x08" or not axes or int(np.prod(shape, dtype=object)) != body:
        raise _damaged(path)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(tuple(map(int, shape)))


def _damaged(path: Path) -> InputError:
    return InputError("a damaged IDX file", where=path, fix="install or download it again")


def _fashion_file(remote: Remote) -> Path:
    for name in (remote.name, remote.name.removesuffix(".gz")):
        if (DEBIAN_FASHION / name).is_file():
            return DEBIAN_FASHION / name
    return fetch(remote)


def _given(source: str, classes: Sequence[str], parts: dict[str, Part]) -> Given:
    examples = {}
    for part, (pixels, labels) in parts.items():
        prefix = "" if part == "all" else f"{part}/"
        examples[part] = [
            Example(f"{prefix}{classes[label]}/{index:05}", int(label), image)
            for index, (image, label) in enumerate(zip(pixels, labels, strict=True))
        ]
    return Given(source=source, classes=tuple(classes), parts=examples)
