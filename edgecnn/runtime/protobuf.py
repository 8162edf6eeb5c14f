"""Walking the top level of a protobuf message, without its package or a schema.

Enough to find ONNX's ``metadata_props`` and to tell an ONNX file from another; weights
are skipped, never copied.

Source: https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import dataclasses
import mmap
from collections.abc import Iterator
from typing import TypeAlias

Data: TypeAlias = bytes | mmap.mmap

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

# An ONNX model has about ten fields, and one more for each entry of its metadata.
_MAX_FIELDS = 10_000


class ProtobufError(ValueError):
    """The bytes are not what the format promises."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Field:
    """One field of a message.

    Attributes:
        number: As in the schema.
        kind: `VARINT`, `FIXED64`, `BYTES` or `FIXED32`.
        value: Of a varint; else 0.
        start: Place of the field's first byte, its tag.
        content: Place of the first byte of its content.
        stop: Place behind its last byte.
    """

    number: int
    kind: int
    value: int
    start: int
    content: int
    stop: int


def fields(data: Data) -> Iterator[Field]:
    """Yield a message's fields in order.

    Raises:
        ProtobufError: a field leaves the message, has an unknown kind, or there are too many.
    """
    at = 0
    for _ in range(_MAX_FIELDS):
        if at == len(data):
            return
        start = at
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        content, value = at, 0
        if kind == VARINT:
            value, at = _varint(data, at)
        elif kind == BYTES:
            size, content = _varint(data, at)
            at = content + size
        elif kind in (FIXED64, FIXED32):
            at += 8 if kind == FIXED64 else 4
        else:
            raise ProtobufError(f"a field of kind {kind}")
        if number == 0 or at > len(data):
            raise ProtobufError("a field that leaves the file")
        yield Field(number=number, kind=kind, value=value, start=start, content=content, stop=at)
    raise ProtobufError(f"more than {_MAX_FIELDS} fields")


def encode_bytes(number: int, content: bytes) -> bytes:
    """Return a field of bytes."""
    return _encode_varint(number << 3 | BYTES) + _encode_varint(len(content)) + content


def _varint(data: Data, at: int) -> tuple[int, int]:
    value = 0
    for index in range(10):
        if at + index >= len(data):
            raise ProtobufError("a number that is cut off")
        byte = data[at + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, at + index + 1
    raise ProtobufError("a number of more than ten bytes")


def _encode_varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
