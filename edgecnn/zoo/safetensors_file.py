"""A ``.safetensors`` file: a length, a JSON table, and the raw numbers, nothing else.

Source: the format's README, github.com/huggingface/safetensors.
"""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.core.errors import InputError
from edgecnn.zoo.torch_file import Tensors
from edgecnn.zoo.torch_pickle import widened

_HEADER_LIMIT_BYTES = 100_000_000
_BFLOAT16 = "BF16"
_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    _BFLOAT16: "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "?",
}


def is_safetensors(data: bytes) -> bool:
    """Tell whether a file begins as one: the length of a table that begins with a brace."""
    return data[8:9] == b"{" and _header_bytes(data) <= _HEADER_LIMIT_BYTES


def read_safetensors(data: bytes, *, where: str | Path) -> Tensors:
    """Read the floating-point tensors, float32; whole numbers are left out.

    Raises:
        InputError: damaged, cut short, or a table that doesn't describe just these bytes.
    """
    try:
        return _read(data)
    except (ValueError, TypeError, KeyError, RecursionError, struct.error) as error:
        raise InputError(
            f"no readable safetensors ({error})", where=where, fix="get the file again"
        ) from error


def _header_bytes(data: bytes) -> int:
    (count,) = struct.unpack("<Q", data[:8])
    return int(count)


def _read(data: bytes) -> Tensors:
    end = 8 + _header_bytes(data)
    if end > min(len(data), _HEADER_LIMIT_BYTES):
        raise ValueError("it ends too early")
    table = json.loads(data[8:end].decode(), object_pairs_hook=_without_repetition)
    table.pop("__metadata__", None)
    tensors, at = {}, 0
    for name, entry in sorted(table.items(), key=lambda item: item[1]["data_offsets"]):
        array, at = _array(entry, data, at, end)
        if array.dtype == np.float32:
            tensors[name] = array
    if at != len(data) - end:
        raise ValueError("other bytes than its table describes")
    return tensors


def _array(entry: dict[str, Any], data: bytes, at: int, end: int) -> tuple[Any, int]:
    """Return one tensor and where the next begins: they lie without gap or overlap."""
    start, stop = entry["data_offsets"]
    shape = tuple(entry["shape"])
    kind = np.dtype(_TYPES[entry["dtype"]])
    if any(type(n) is not int or n < 0 for n in (start, stop, *shape)) or len(shape) > 8:
        raise ValueError("a tensor of impossible shape")
    if start != at or stop - start != math.prod(shape) * kind.itemsize or end + stop > len(data):
        raise ValueError("a tensor that is not where its table says")
    values = np.frombuffer(data[end + start : end + stop], kind).reshape(shape)
    if entry["dtype"] == _BFLOAT16:
        return widened(values), stop
    return (values.astype(np.float32) if kind.kind == "f" else values), stop


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name that comes twice")
    return found
