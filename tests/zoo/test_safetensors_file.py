from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.core.errors import InputError
from edgecnn.zoo.safetensors_file import is_safetensors, read_safetensors

pytestmark = pytest.mark.tensorflow  # the room needs it, though not this reader

VALUES = np.arange(6, dtype="<f4")


def entry(kind: str, shape: Any, start: int, end: int) -> dict[str, Any]:
    return {"dtype": kind, "shape": shape, "data_offsets": [start, end]}


def file_of(table: dict[str, Any] | bytes, data: bytes = VALUES.tobytes()) -> bytes:
    head = table if isinstance(table, bytes) else json.dumps(table).encode()
    return struct.pack("<Q", len(head)) + head + data


def test_tensors_are_read_whatever_their_order() -> None:
    table = {"__metadata__": {"format": "pt"}, "b": entry("F32", [4], 8, 24)}
    data = file_of(table | {"a": entry("F32", [2, 1], 0, 8)})
    assert is_safetensors(data)
    found = read_safetensors(data, where="w.safetensors")
    np.testing.assert_array_equal(found["a"], [[0], [1]])
    np.testing.assert_array_equal(found["b"], [2, 3, 4, 5])


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("F16", VALUES.astype("<f2").tobytes()),
        ("F64", VALUES.astype("<f8").tobytes()),
        ("BF16", (VALUES.view("<u4") >> 16).astype("<u2").tobytes()),
    ],
)
def test_numbers_of_other_widths_become_float32(kind: str, data: bytes) -> None:
    found = read_safetensors(file_of({"w": entry(kind, [6], 0, len(data))}, data), where="")
    assert found["w"].dtype == np.float32
    np.testing.assert_array_equal(found["w"], VALUES)


def test_whole_numbers_are_left_out() -> None:
    assert read_safetensors(file_of({"n": entry("I32", [6], 0, 24)}), where="") == {}


def rejected(data: bytes) -> None:
    with pytest.raises(InputError, match=r"no readable safetensors .* in w\.") as caught:
        read_safetensors(data, where="w.safetensors")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        file_of({"w": entry("F32", [6], 0, 24)})[:-1],
        file_of({"w": entry("F32", [6], 0, 24)}) + b"more",
        file_of({"w": entry("F32", [6], 0, 28)}),
        file_of({"w": entry("F32", [7], 0, 24)}),
        file_of({"w": entry("F32", [-6], 0, 24)}),
        file_of({"w": entry("F32", [6.0], 0, 24)}),
        file_of({"w": entry("F32", [True] * 9, 0, 4)}),
        file_of({"w": entry("F8", [6], 0, 24)}),
        file_of({"w": entry("F32", [5], 4, 24)}),
        file_of({"a": entry("F32", [6], 0, 24), "b": entry("F32", [6], 0, 24)}),
        file_of({"w": {"dtype": "F32"}}),
        file_of({"w": None}),
        file_of(b'{"w": 1, "w": 2}'),
        file_of(b"{" * 5000),
        file_of(b'{"\xff'),
        struct.pack("<Q", 2**62) + b"{}",
    ],
)
def test_file_that_does_not_describe_itself_is_one_line(data: bytes) -> None:
    rejected(data)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_flipped_bytes_give_tensors_or_one_line(draw: st.DataObject) -> None:
    data = bytearray(file_of({"w": entry("F32", [2, 3], 0, 24)}))
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        found = read_safetensors(bytes(data), where="w")
    except InputError:
        return
    assert all(array.size <= len(VALUES) for array in found.values())
