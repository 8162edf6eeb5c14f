from __future__ import annotations

import dataclasses
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgecnn.core.artifact import METADATA_NAME, FileMetadata
from edgecnn.core.errors import InputError
from edgecnn.runtime import embed, metadata, protobuf, read_metadata, tflite

Describe = Callable[..., FileMetadata]
FUZZ = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(params=["tiny-int8.tflite", "tiny-float32.onnx"])
def own(request: pytest.FixtureRequest, own_files: Path) -> Path:
    return own_files / str(request.param)


def test_what_was_embedded_reads_back(own: Path, description: Describe) -> None:
    kind = own.suffix[1:]
    assert read_metadata(own) == description(kind, "uint8" if kind == "tflite" else "float32")


def test_a_foreign_file_has_none(tiny_files: Path) -> None:
    assert read_metadata(tiny_files / "tiny-int8.tflite") is None
    assert read_metadata(tiny_files / "tiny-float32.onnx") is None


def test_embedding_again_replaces_the_earlier_description(own: Path, tmp_path: Path) -> None:
    first = read_metadata(own)
    assert first is not None
    later = dataclasses.replace(first, name="later")
    again = tmp_path / own.name
    again.write_bytes(embed(own.read_bytes(), later))
    assert read_metadata(again) == later
    assert embed(again.read_bytes(), first) == own.read_bytes()


def test_the_model_itself_is_left_as_it_was(own_files: Path, tiny_files: Path) -> None:
    for name in ("tiny-int8.tflite", "tiny-float32.onnx"):
        assert (own_files / name).read_bytes().startswith((tiny_files / name).read_bytes())


def test_other_tools_read_the_description_too(own_files: Path) -> None:
    with zipfile.ZipFile(own_files / "tiny-int8.tflite") as archive:
        assert METADATA_NAME in archive.namelist()
        assert archive.testzip() is None
    onnx = pytest.importorskip("onnx")
    model = onnx.load(own_files / "tiny-float32.onnx")
    onnx.checker.check_model(model)
    assert METADATA_NAME in {entry.key for entry in model.metadata_props}


@FUZZ
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_no_flipped_bit_changes_what_our_file_says(
    own: Path, tmp_path: Path, place: float, bit: int
) -> None:
    expected = read_metadata(own)
    damaged = bytearray(own.read_bytes())
    damaged[int(place * len(damaged))] ^= 1 << bit
    path = tmp_path / own.name
    path.write_bytes(damaged)
    try:
        assert read_metadata(path) == expected
    except InputError:
        return
    # Only bits that nothing reads (dates in the archive's list) are let through.
    assert own.suffix == ".tflite"
    assert int(place * len(damaged)) > len(damaged) - 400


def test_a_flipped_weight_is_noticed(own: Path, tmp_path: Path) -> None:
    damaged = bytearray(own.read_bytes())
    damaged[len(damaged) // 3] ^= 1
    path = tmp_path / own.name
    path.write_bytes(damaged)
    with pytest.raises(InputError, match="changed or damaged after its export"):
        read_metadata(path)


def test_a_truncated_description_is_noticed(own: Path, tiny_files: Path, tmp_path: Path) -> None:
    model = (tiny_files / own.name).stat().st_size
    path = tmp_path / own.name
    for size in range(model + 60, own.stat().st_size, 97):
        path.write_bytes(own.read_bytes()[:size])
        with pytest.raises(InputError):
            read_metadata(path)


def test_a_description_of_another_format_is_refused(
    tiny_files: Path, tmp_path: Path, description: Describe
) -> None:
    data = (tiny_files / "tiny-int8.tflite").read_bytes()
    with pytest.raises(InputError, match="a tflite file"):
        embed(data, description("onnx"))


def with_members(data: bytes, *members: tuple[str, bytes], compress: bool = False) -> bytes:
    file = io.BytesIO(data)
    method = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "a", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def test_a_zip_bomb_is_refused_without_unfolding_it(tiny_files: Path, tmp_path: Path) -> None:
    data = (tiny_files / "tiny-int8.tflite").read_bytes()
    path = tmp_path / "bomb.tflite"
    members = (METADATA_NAME, b"0" * 50_000_000), (metadata.CHECKSUM_NAME, b"0" * 8)
    path.write_bytes(with_members(data, *members, compress=True))
    with pytest.raises(InputError, match="damaged"):
        read_metadata(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")  # the forger's side of the test
def test_two_descriptions_are_one_too_many(tiny_files: Path, tmp_path: Path) -> None:
    data = (tiny_files / "tiny-int8.tflite").read_bytes()
    path = tmp_path / "two.tflite"
    member = METADATA_NAME, b"{}"
    path.write_bytes(with_members(data, member, member, (metadata.CHECKSUM_NAME, b"0" * 8)))
    with pytest.raises(InputError, match="damaged"):
        read_metadata(path)


def test_a_foreign_archive_is_no_description(tiny_files: Path, tmp_path: Path) -> None:
    data = (tiny_files / "tiny-int8.tflite").read_bytes()
    path = tmp_path / "labels.tflite"
    path.write_bytes(with_members(data, ("labels.txt", b"cat\ndog\n")))
    assert read_metadata(path) is None


@pytest.mark.parametrize("text", [b"{}", b"[1]", b"no json", b'{"schema": "edgecnn/artifact/99"}'])
def test_a_description_that_is_not_ours_is_refused(
    tiny_files: Path, tmp_path: Path, text: bytes
) -> None:
    path = tmp_path / "odd.tflite"
    path.write_bytes(metadata._embed_behind((tiny_files / "tiny-int8.tflite").read_bytes(), text))
    with pytest.raises(InputError):
        read_metadata(path)


def test_the_file_stays_a_readable_model(own_files: Path) -> None:
    path = own_files / "tiny-int8.tflite"
    assert tflite.read(path.read_bytes(), where=path).operators


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "an empty model file"),
        (b"a text that is no model", "neither a TFLite nor an ONNX model"),
        (b"\x08\x07" * 20_000, "neither a TFLite nor an ONNX model"),
    ],
)
def test_what_is_no_model_is_said_in_one_line(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "photo.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError, match=what):
        read_metadata(path)


def test_no_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a folder instead of a file"):
        read_metadata(tmp_path)
    with pytest.raises(InputError, match="no such model file"):
        read_metadata(tmp_path / "none.tflite")


@given(st.integers(1, 500), st.binary(max_size=300))
def test_an_encoded_field_is_found_again(number: int, content: bytes) -> None:
    data = protobuf.encode_bytes(number, content)
    (field,) = protobuf.fields(data)
    assert (field.number, data[field.content : field.stop]) == (number, content)


@given(st.binary(max_size=200))
def test_random_bytes_are_fields_or_a_protobuf_error(noise: bytes) -> None:
    try:
        stops = [field.stop for field in protobuf.fields(noise)]
    except protobuf.ProtobufError:
        return
    assert not stops or stops[-1] == len(noise)
    assert np.all(np.diff(stops) > 0)
