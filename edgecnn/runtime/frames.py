"""Messages between two processes over pipes: a JSON header and raw bytes, nothing executable.

A frame is two little-endian uint32 (size of the header, size of the body), the header as
UTF-8 JSON and the body.
"""

from __future__ import annotations

import json
import os
import select
import struct
from typing import Any

_SIZES = struct.Struct("<II")
_HEADER_LIMIT = 64_000_000
_BODY_LIMIT = 2**31


class Closed(Exception):
    """The other side is gone, silent for too long, or talks nonsense."""


def send(descriptor: int, header: dict[str, Any], body: bytes | memoryview = b"") -> None:
    """Write one frame.

    Raises:
        Closed: the other side is gone.
    """
    text = json.dumps(header).encode()
    body = memoryview(body)
    body = body.cast("B") if body.nbytes else memoryview(b"")  # an empty shape can't be cast
    try:
        for part in (_SIZES.pack(len(text), len(body)) + text, body):
            rest = memoryview(part)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
    except OSError as error:
        raise Closed(str(error)) from error


def receive(descriptor: int, *, timeout_s: float | None = None) -> tuple[dict[str, Any], bytearray]:
    """Read one frame; ``timeout_s`` is the longest silence, None waits for ever.

    Raises:
        Closed: the other side is gone, silent for too long, or talks nonsense.
    """
    sizes = _SIZES.unpack(_exactly(descriptor, _SIZES.size, timeout_s))
    if sizes[0] > _HEADER_LIMIT or sizes[1] > _BODY_LIMIT:
        raise Closed("a frame beyond all bounds")
    try:
        header = json.loads(_exactly(descriptor, sizes[0], timeout_s))
    except ValueError as error:
        raise Closed("a header that is not JSON") from error
    if not isinstance(header, dict):
        raise Closed("a header that is no object")
    return header, _exactly(descriptor, sizes[1], timeout_s)


def _exactly(descriptor: int, count: int, timeout_s: float | None) -> bytearray:
    data = bytearray(count)
    filled = 0
    with memoryview(data) as view:
        while filled < count:
            if timeout_s is not None and not select.select([descriptor], [], [], timeout_s)[0]:
                raise Closed(f"silence for {timeout_s:.0f} s")
            read = os.readv(descriptor, [view[filled:]])
            if read == 0:
                raise Closed("the end")
            filled += read
    return data
