"""A torch file of weights read without torch: the legacy format, and the zip of torch 1.6.

Both hold a pickle that names and shapes the tensors, and the raw numbers beside it.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn.core.errors import InputError
from edgecnn.zoo.torch_pickle import STORAGES, TensorView, Unpickler

ZIP_MAGIC = b"PK\x03\x04"
LEGACY_MAGIC = b"\x80\x02\x8a\n"
_MAGIC = 0x1950A86A20F9469CFC6C  # torch/serialization.py, MAGIC_NUMBER
_LIMIT_BYTES = 1_000_000_000
# What training scripts wrap a state dictionary in, and what their parallel models add.
_WRAPPERS = ("state_dict", "model", "model_state_dict")
_PARALLEL = "module."

Tensors: TypeAlias = dict[str, npt.NDArray[np.float32]]


def read_tensors(data: bytes, *, where: str | Path) -> Tensors:
    """Read the floating-point tensors of a state dictionary, in the order of the file.

    float16, bfloat16 and float64 become float32; whole numbers are left out.

    Args:
        data: The file.
        where: Its name, for the error.

    Raises:
        InputError: not such a file, damaged, or one that wants to run something.
    """
    try:
        read = _read_zip if data.startswith(ZIP_MAGIC) else _read_legacy
        tensors = {name: array for name, array in read(data).items() if array.dtype == np.float32}
    # What a program in wrong order does to a stack of plain Python values; damaged archives.
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
        RuntimeError,
        struct.error,
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
    ) as error:
        raise InputError(
            f"no readable torch weights ({error})", where=where, fix="get the file again"
        ) from error
    if tensors and all(name.startswith(_PARALLEL) for name in tensors):
        return {name.removeprefix(_PARALLEL): array for name, array in tensors.items()}
    return tensors


def _read_legacy(data: bytes) -> dict[str, npt.NDArray[Any]]:
    reader = Unpickler(data)
    if reader.unpickle() != _MAGIC:
        raise ValueError("not the legacy torch format")
    reader.unpickle()  # protocol version
    reader.unpickle()  # facts of the machine that wrote it
    views, keys = _state(reader.unpickle()), reader.unpickle()
    widths = {view.key: STORAGES[view.storage].itemsize for view in views.values()}
    storages: dict[str, bytes] = {}
    for key in keys:
        (count,) = struct.unpack("<q", reader.take(8))
        storages[key] = reader.take(count * widths[key])
    return {name: view.read(storages[view.key]) for name, view in views.items()}


def _read_zip(data: bytes) -> dict[str, npt.NDArray[Any]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
        pickles = [name for name in sizes if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1 or sum(sizes.values()) > _LIMIT_BYTES:
            raise ValueError("an archive without a state dictionary")
        root = pickles[0].removesuffix("data.pkl")
        if f"{root}byteorder" in sizes and archive.read(f"{root}byteorder") != b"little":
            raise ValueError("numbers of a big-endian machine")
        views = _state(Unpickler(archive.read(pickles[0])).unpickle())
        keys = {view.key for view in views.values()}
        storages = {key: archive.read(f"{root}data/{key}") for key in keys}
    return {name: view.read(storages[view.key]) for name, view in views.items()}


def _state(value: Any) -> dict[str, TensorView]:
    """Return the tensors of a state dictionary, which may lie in another one."""
    tensors = {name: entry for name, entry in value.items() if isinstance(entry, TensorView)}
    if tensors:
        return tensors
    for name in _WRAPPERS:
        if isinstance(value.get(name), dict):
            return _state(value[name])
    raise ValueError("no tensors in it")
