"""What an artefact file says about itself: writing it in, and reading it back.

A TFLite or ORT file gets a zip archive behind the flatbuffer, an ONNX file two entries of
``metadata_props``: the description as JSON, and a checksum of everything before the
checksum. A file that carries them and was damaged since is refused; a foreign file
without them is fine.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from edgecnn.core import schema
from edgecnn.core.artifact import METADATA_NAME, FileMetadata, Format
from edgecnn.core.errors import InputError
from edgecnn.runtime import ort, protobuf, tflite
from edgecnn.runtime.protobuf import Data

CHECKSUM_NAME = "edgecnn.crc32"
"""CRC-32 of the file up to the checksum's own entry, eight hexadecimal digits."""

_LIMIT = 4_000_000  # bytes; a thousand classes take 30 kB
# Only the end of a TFLite file is searched: what lies before is weights.
_TAIL = _LIMIT + 500_000
_PROPS = 14  # ModelProto.metadata_props, StringStringEntryProto {key = 1, value = 2}
_GRAPH = 7  # ModelProto.graph

# What zipfile raises on damaged archives.
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    ArithmeticError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    ValueError,
    struct.error,
)

_Found: TypeAlias = tuple[bytes, bytes, int]  # JSON, checksum, where the checksum's entry begins


class _Damaged(Exception):
    """There is metadata of ours, and it can't be trusted."""


def read_metadata(path: Path) -> FileMetadata | None:
    """Read what a ``.tflite``, ``.onnx`` or ``.ort`` file says about itself.

    Returns:
        None for a foreign file.

    Raises:
        InputError: no such file, another kind of file, or one that changed since its export.
    """
    with mapped(path) as data:
        kind = format_of(data, where=path)
        try:
            found = _find_onnx(data) if kind == "onnx" else _find_behind(data)
            if found is None:
                return None
            text, checksum, covered = found
            if _checksum(data, covered) != checksum:
                raise _Damaged
        except (_Damaged, protobuf.ProtobufError) as error:
            raise InputError(
                "a file that was changed or damaged after its export",
                where=path,
                fix="export or copy it again",
            ) from error
    metadata = schema.loads(FileMetadata, text, where=path)
    if metadata.format != kind:
        raise InputError(
            f"metadata of {metadata.format} in a {kind} file", where=path, fix="export it again"
        )
    return metadata


def embed(data: bytes, metadata: FileMetadata) -> bytes:
    """Return the file with this description inside, in place of an earlier one of ours.

    A flatbuffer's weights and operations are left as they are, byte for byte; an archive
    that other tools appended to it is dropped with its offsets.

    Raises:
        InputError: the bytes are of another format than the metadata says.
    """
    kind = format_of(data, where=metadata.name)
    if kind != metadata.format:
        raise InputError(f"a {kind} file", where=metadata.name, fix=f"write {metadata.format}")
    text = schema.dumps(metadata).encode()
    if kind == "onnx":
        return _embed_onnx(data, text)
    return _embed_behind(data, text)


def format_of(data: Data, *, where: str | Path) -> Format:
    """Tell TFLite, ONNX and ORT by content.

    Raises:
        InputError: neither.
    """
    if data[4:8] == tflite.IDENTIFIER:
        return "tflite"
    if data[4:8] == ort.IDENTIFIER:
        return "ort"
    try:
        numbers = {field.number for field in protobuf.fields(data)}
    except protobuf.ProtobufError:
        numbers = set()
    if _GRAPH in numbers:
        return "onnx"
    raise InputError(
        "neither a TFLite nor an ONNX model", where=where, fix="check the path, or export it again"
    )


def mapped(path: Path) -> mmap.mmap:
    """Map a file that somebody else made; close it, or use it in a ``with``.

    Raises:
        InputError: no such file, a folder, empty or unreadable.
    """
    if not path.is_file():
        what = "a folder instead of a file" if path.is_dir() else "no such model file"
        raise InputError(what, where=path, fix="check the path")
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError:
        raise InputError("an empty model file", where=path, fix="export it again") from None
    except OSError as error:
        raise InputError("an unreadable file", where=path, fix=str(error.strerror)) from error


def _checksum(data: Data, stop: int) -> bytes:
    with memoryview(data) as view, view[:stop] as covered:
        return f"{zlib.crc32(covered):08x}".encode()


def _find_behind(data: Data) -> _Found | None:
    skipped = max(0, len(data) - _TAIL)
    tail = data[skipped:]
    try:
        text, checksum, at = _read_members(tail)
    except _ZIP_ERRORS as error:
        if METADATA_NAME.encode() in tail or CHECKSUM_NAME.encode() in tail:
            raise _Damaged from error
        return None
    return text, checksum, skipped + at


def _read_members(tail: bytes) -> _Found:
    # An archive's offsets are corrected from its end, so it opens without what lies before.
    with zipfile.ZipFile(io.BytesIO(tail)) as archive:
        members = [archive.getinfo(name) for name in (METADATA_NAME, CHECKSUM_NAME)]
        names = archive.namelist()
        if len(names) != len(set(names)):
            raise ValueError("two members of one name")
        # We store without compression: nothing can unfold to more than it takes in the file.
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("a compressed member")
        return archive.read(members[0]), archive.read(members[1]), members[1].header_offset


def _embed_behind(data: bytes, text: bytes) -> bytes:
    with contextlib.suppress(*_ZIP_ERRORS), zipfile.ZipFile(io.BytesIO(data)) as old:
        data = data[: min(member.header_offset for member in old.infolist())]
    file = io.BytesIO(data)
    with zipfile.ZipFile(file, "a") as archive:
        # A ZipInfo by itself carries a fixed date: the same content gives the same file.
        archive.writestr(zipfile.ZipInfo(METADATA_NAME), text)
        so_far = file.getvalue()
        archive.writestr(zipfile.ZipInfo(CHECKSUM_NAME), _checksum(so_far, len(so_far)))
    return file.getvalue()


def _find_onnx(data: Data) -> _Found | None:
    entries = [e for e in _onnx_entries(data) if e[0] in (METADATA_NAME, CHECKSUM_NAME)]
    if not entries:
        return None
    ours = {name: (value, start) for name, value, start, _ in entries}
    if len(ours) != 2 or len(entries) != 2:
        raise _Damaged
    checksum, covered = ours[CHECKSUM_NAME]
    return ours[METADATA_NAME][0], checksum, covered


def _embed_onnx(data: bytes, text: bytes) -> bytes:
    for name, _, start, stop in reversed(list(_onnx_entries(data))):
        if name in (METADATA_NAME, CHECKSUM_NAME):
            data = data[:start] + data[stop:]
    data += _onnx_entry(METADATA_NAME, text)
    return data + _onnx_entry(CHECKSUM_NAME, _checksum(data, len(data)))


def _onnx_entry(name: str, value: bytes) -> bytes:
    entry = protobuf.encode_bytes(1, name.encode()) + protobuf.encode_bytes(2, value)
    return protobuf.encode_bytes(_PROPS, entry)


def _onnx_entries(data: Data) -> Iterator[tuple[str, bytes, int, int]]:
    """Yield the metadata's entries: name, value, and the place of the entry's first and last."""
    for field in protobuf.fields(data):
        if field.number == _PROPS and field.kind == protobuf.BYTES:
            entry = data[field.content : min(field.stop, field.content + _LIMIT)]
            parts = {
                part.number: entry[part.content : part.stop] for part in protobuf.fields(entry)
            }
            yield (
                parts.get(1, b"").decode("utf-8", "replace"),
                parts.get(2, b""),
                field.start,
                field.stop,
            )
