"""What kind of model a path is that this toolkit did not make."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

from edgecnn.core.checkpoint import CARD_FILE, MODEL_FILE
from edgecnn.core.errors import InputError

Kind: TypeAlias = Literal["keras", "saved_model", "onnx"]

SAVED_MODEL_FILE = "saved_model.pb"

_ZIP_MAGIC, _H5_MAGIC = b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"


def kind_of(path: Path) -> Kind | None:
    """Tell what a foreign model is; None for a checkpoint, or for nothing at all.

    Raises:
        InputError: a file that no export begins with.
    """
    if path.is_dir():
        return "saved_model" if (path / SAVED_MODEL_FILE).is_file() else None
    if not path.is_file() or _is_of_checkpoint(path):
        return None
    with path.open("rb") as file:
        head = file.read(8)
    if not head:
        raise InputError("an empty file", where=path, fix="save or download it again")
    if head.startswith((_ZIP_MAGIC, _H5_MAGIC)):
        return "keras"
    if path.suffix == ".onnx":
        return "onnx"
    if path.suffix in (".keras", ".h5"):
        what = "no Keras model, whatever its name says"
        raise InputError(what, where=path, fix="save or download it again")
    if path.name == SAVED_MODEL_FILE:
        raise InputError("a part of a SavedModel", where=path, fix="give its folder")
    raise InputError(
        "a TFLite file" if head[4:8] == b"TFL3" else "no model that can be exported",
        where=path,
        fix="give a checkpoint, a .keras, .h5 or .onnx file, or a SavedModel's folder",
    )


def _is_of_checkpoint(path: Path) -> bool:
    return path.name in (CARD_FILE, MODEL_FILE) and (path.parent / CARD_FILE).is_file()
