"""Files of weights, whatever wrote them: Keras's as layers in order, torch's as named tensors.

No code and no configuration of a file is ever executed: only its numbers are taken.
"""

from __future__ import annotations

import io
import itertools
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from edgecnn.core import files
from edgecnn.core.errors import InputError
from edgecnn.zoo import torch_file
from edgecnn.zoo.h5_child import LIMIT_BYTES
from edgecnn.zoo.matching import FileLayer
from edgecnn.zoo.safetensors_file import is_safetensors, read_safetensors
from edgecnn.zoo.torch_file import Tensors

_H5_MAGIC = b"\x89HDF\r\n\x1a\n"
_KERAS_MEMBER = "model.weights.h5"
_TIMEOUT_SECONDS = 120.0


def read(path: Path) -> list[FileLayer] | Tensors:
    """Read a file by its content: Keras's layers in order, or torch's tensors by name.

    Raises:
        InputError: absent, damaged, too large or of another kind.
    """
    data = _bytes_of(path)
    if data.startswith(torch_file.LEGACY_MAGIC) or _is_torch_archive(data):
        return torch_file.read_tensors(data, where=path)
    if is_safetensors(data):
        return read_safetensors(data, where=path)
    return _keras(data, path)


def read_keras(path: Path) -> list[FileLayer]:
    """Read a ``.weights.h5``, ``.h5`` or ``.keras`` file.

    Returns:
        Layers with weights; those of one kind are in the model's order.

    Raises:
        InputError: absent, damaged, too large or of another kind.
    """
    return _keras(_bytes_of(path), path)


def _bytes_of(path: Path) -> bytes:
    return files.read_bytes(path, limit=LIMIT_BYTES, kind="file of weights")


def _is_torch_archive(data: bytes) -> bool:
    # The first member's name lies behind the 30 bytes of a zip's local header.
    return data.startswith(torch_file.ZIP_MAGIC) and b"/data.pkl" in data[30:300]


def _keras(data: bytes, path: Path) -> list[FileLayer]:
    if data.startswith(torch_file.ZIP_MAGIC):
        data = _keras_member(data, path)
    if not data.startswith(_H5_MAGIC):
        raise InputError(
            "no weights of a kind that is known",
            where=path,
            fix="use .h5, .keras, .safetensors, or a torch state dictionary",
        )
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "weights.h5"
        copy.write_bytes(data)
        return _read_h5(copy, where=path)


def _keras_member(data: bytes, path: Path) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if archive.getinfo(_KERAS_MEMBER).file_size > LIMIT_BYTES:
                raise ValueError("more than 1 GB of weights")
            return archive.read(_KERAS_MEMBER)
    except Exception as error:  # zipfile and zlib raise many kinds on damaged archives
        raise InputError(
            f"a damaged .keras archive ({error})", where=path, fix="get the file again"
        ) from error


def _read_h5(path: Path, *, where: Path) -> list[FileLayer]:
    script = Path(__file__).with_name("h5_child.py")
    try:
        child = subprocess.run(
            [sys.executable, "-I", script, path],
            capture_output=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InputError(
            "weights that take forever to read", where=where, fix="get the file again"
        ) from None
    if child.returncode != 0:
        lines = child.stderr.decode(errors="replace").strip().splitlines() or ["reader crashed"]
        raise InputError(
            f"damaged Keras weights ({lines[-1][:120]})", where=where, fix="get the file again"
        )
    with np.load(io.BytesIO(child.stdout), allow_pickle=False) as archive:
        pairs = [(str(name), archive[str(i)]) for i, name in enumerate(archive["names"])]
    grouped = itertools.groupby(pairs, key=lambda pair: pair[0].rpartition("|")[0])
    return [FileLayer(name, tuple(array for _, array in items)) for name, items in grouped]
