"""A ``.keras`` or ``.h5`` file that somebody else made, opened without running what is in it.

Only three members of a ``.keras`` archive are taken (no assets: no path to leave a folder
by), an HDF5 file is walked before Keras reads it (no links out of it), and the description
is checked by `edgecnn.convert.keras_config`. Keras reads the copy that was checked.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import keras

from edgecnn.convert.keras_config import checked
from edgecnn.core import files, schema
from edgecnn.core.errors import InputError

LIMIT_BYTES = 1_000_000_000
ZIP_MAGIC, H5_MAGIC = b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"

_CONFIG, _WEIGHTS, _ABOUT = "config.json", "model.weights.h5", "metadata.json"
_LIMITS = {_CONFIG: schema.JSON_LIMIT_BYTES, _WEIGHTS: LIMIT_BYTES, _ABOUT: 1_000_000}
_GROUPS_DEEP, _MAX_ITEMS = 32, 100_000
_DESCRIPTION = "model_config"


def load(path: Path) -> keras.Model:
    """Open a Keras model for inference, built of Keras's own layers only.

    Raises:
        InputError: damaged, too large, not a Keras model, or one with code or custom classes.
    """
    data = files.read_bytes(path, limit=LIMIT_BYTES, kind="Keras file")
    with tempfile.TemporaryDirectory(prefix="edgecnn-") as folder:
        if data.startswith(ZIP_MAGIC):
            copy = Path(folder) / "model.keras"
            _copy_archive(data, copy, where=path)
        elif data.startswith(H5_MAGIC):
            copy = Path(folder) / "model.h5"
            copy.write_bytes(data)
            _check_h5(copy, where=path)
        else:
            raise InputError("neither a .keras nor an .h5 file", where=path, fix="check the path")
        try:
            return keras.models.load_model(copy, compile=False, safe_mode=True)
        except Exception as error:  # Keras raises many kinds on models that don't add up
            raise InputError(
                f"a model that Keras refuses ({_first_line(error)})",
                where=path,
                fix="save it again with Keras 3, or give a SavedModel (`model.export`)",
            ) from error


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]


def _copy_archive(data: bytes, copy: Path, *, where: Path) -> None:
    """Write the members that a model needs, checked, to a new archive."""
    members = _members(data, where)
    members[_CONFIG] = checked(members[_CONFIG], where=where).encode()
    weights = copy.with_name(_WEIGHTS)
    weights.write_bytes(members[_WEIGHTS])
    _walk(weights, where=where)
    with zipfile.ZipFile(copy, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _members(data: bytes, where: Path) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name, limit in _LIMITS.items():
                if archive.getinfo(name).file_size > limit:
                    raise ValueError(f"{name} of more than {limit // 1_000_000} MB")
            return {name: archive.read(name) for name in _LIMITS}
    except Exception as error:  # zipfile and zlib raise many kinds on damaged archives
        raise InputError(
            f"a damaged .keras archive ({_first_line(error)})",
            where=where,
            fix="save or download it again",
        ) from error


def _check_h5(copy: Path, *, where: Path) -> None:
    _walk(copy, where=where)
    with _damage_told(where), h5py.File(copy, "r+") as file:
        text = file.attrs.get(_DESCRIPTION)
        if text is None:
            raise InputError(
                "weights without a description of their network",
                where=where,
                fix="save the whole model (`model.save`), not its weights",
            )
        del file.attrs[_DESCRIPTION]
        file.attrs[_DESCRIPTION] = checked(text, where=where)
        file.attrs.pop("training_config", None)


def _walk(path: Path, *, where: Path) -> None:
    """Refuse an HDF5 file with links, with data outside of itself, or with too much of it."""
    total = 0
    with _damage_told(where), h5py.File(path, "r") as file:
        for number, (name, item) in enumerate(_items(file, depth=0)):
            if isinstance(item, h5py.Dataset):
                if item.is_virtual or item.external or item.dtype.kind not in "fiub":
                    raise ValueError(f"{name} is not stored in the file, or holds no numbers")
                total += item.nbytes
            if total > LIMIT_BYTES or number > _MAX_ITEMS:  # a circle of links has no end
                raise ValueError("more than 1 GB of weights or 100,000 entries")


def _items(group: h5py.Group, depth: int) -> Iterator[tuple[str, Any]]:
    if depth > _GROUPS_DEEP:
        raise ValueError("groups nested too deeply")
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"a link at {name}")
        yield name, group[name]
        if isinstance(group[name], h5py.Group):
            yield from _items(group[name], depth + 1)


@contextlib.contextmanager
def _damage_told(where: Path) -> Iterator[None]:
    """Turn what h5py raises on damaged files into one line."""
    try:
        yield
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise InputError(
            f"a damaged HDF5 file ({_first_line(error)})",
            where=where,
            fix="save or download it again",
        ) from error
