from __future__ import annotations

import numpy as np
import pytest

from edgecnn.cli.commands import build_parser
from edgecnn.cli.foreign import _normalization, refuse_foreign_options
from edgecnn.core.errors import InputError
from edgecnn.core.foreign import kind_of

PIXELS = np.array([[0, 100, 255]], np.uint8)


def parsed(*options: str):
    return build_parser("export").parse_all(["m.keras", "--out", "o", *options])


def seen(*options: str):
    found = _normalization(parsed(*options))
    assert found is not None
    return found.apply(PIXELS)[0]


def test_each_preset_gives_the_range_that_it_names() -> None:
    assert np.allclose(seen("--normalize", "[-1,1]"), [-1, 100 / 127.5 - 1, 1])
    assert np.allclose(seen("--normalize", "[0,1]"), [0, 100 / 255, 1])
    assert np.allclose(seen("--normalize", "none"), [0, 100, 255])
    expected = (PIXELS[0] / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    assert np.allclose(seen("--normalize", "imagenet"), expected, atol=1e-6)


def test_means_above_one_are_on_the_scale_of_pixels() -> None:
    assert np.allclose(seen("--mean", "127.5", "--std", "127.5"), [-1, 100 / 127.5 - 1, 1])
    assert np.allclose(seen("--mean", "0.5", "--std", "0.5"), [-1, 100 / 127.5 - 1, 1], atol=1e-6)
    assert np.allclose(seen("--mean", "103.939,116.779,123.68")[0], -103.939)


def test_scale_and_offset_are_taken_as_they_are() -> None:
    assert np.allclose(seen("--scale", "0.5,1,2", "--offset=-1"), [-1, 99, 509])


def test_nothing_given_is_nothing_assumed() -> None:
    assert _normalization(parsed()) is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--normalize", "imagenet", "--mean", "1"), "both --normalize and --mean and --std"),
        (("--mean", "1,2", "--std", "1,2,3"), "2 and 3 numbers"),
        (("--std", "0"), "not above zero"),
        (("--scale", "-1"), "not above zero"),
    ],
)
def test_options_that_contradict_are_refused(options, said) -> None:
    with pytest.raises(InputError, match=said):
        _normalization(parsed(*options))


@pytest.mark.parametrize(
    "options", [("--mean", "nan"), ("--size", "0"), ("--normalize", "imagnet")]
)
def test_values_out_of_bounds_are_refused(options) -> None:
    with pytest.raises(InputError):
        parsed(*options)


def test_a_size_is_a_side_or_both() -> None:
    assert parsed("--size", "224").size == (224, 224)
    assert parsed("--size", "48x192").size == (48, 192)


@pytest.mark.parametrize("option", ["--normalize=none", "--labels=x", "--channels=rgb", "--crop=1"])
def test_a_checkpoint_takes_none_of_them(option) -> None:
    with pytest.raises(InputError, match=r"for a checkpoint, whose card says it"):
        refuse_foreign_options(parsed(option))
    refuse_foreign_options(parsed())


def test_the_kind_of_a_model_is_told_by_its_content(tmp_path) -> None:
    for name, content, kind in (
        ("a.keras", b"PK\x03\x04....", "keras"),
        ("b.anything", b"\x89HDF\r\n\x1a\n", "keras"),
        ("c.onnx", b"\x08\x08", "onnx"),
    ):
        (tmp_path / name).write_bytes(content)
        assert kind_of(tmp_path / name) == kind
    (tmp_path / "saved").mkdir()
    assert kind_of(tmp_path / "saved") is None
    (tmp_path / "saved" / "saved_model.pb").write_bytes(b"x")
    assert kind_of(tmp_path / "saved") == "saved_model"


def test_a_checkpoints_own_model_is_no_foreign_one(tmp_path) -> None:
    (tmp_path / "model.keras").write_bytes(b"PK\x03\x04")
    assert kind_of(tmp_path / "model.keras") == "keras"
    (tmp_path / "card.json").write_text("{}")
    assert kind_of(tmp_path / "model.keras") is None


def test_what_no_export_begins_with_is_said(tmp_path) -> None:
    for name, content, said in (
        ("m.tflite", b"\0\0\0\0TFL3", "a TFLite file"),
        ("saved_model.pb", b"\x08\x01", "a part of a SavedModel"),
        ("m.pt", b"\x80\x02", "no model that can be exported"),
        ("m.keras", b"", "an empty file"),
        ("m.onnx", b"", "an empty file"),
        ("m.h5", b"<html>", "no Keras model, whatever its name says"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=said):
            kind_of(tmp_path / name)
