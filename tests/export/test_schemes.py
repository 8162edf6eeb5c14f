"""The schemes beside float32 and int8, exported from one checkpoint and measured as the others."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from edgecnn.core.errors import InputError

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def by_name(checkpoint: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Format and scheme to the artefact; int8 ONNX in the integer-only form."""
    from edgecnn.export import Options, export

    options = Options(
        formats=("tflite", "onnx", "ort"),
        schemes=("float32", "weights8", "weights4", "int16x8", "int8"),
        onnx_form="integer",
        calibration_count=60,
    )
    artifacts = export(checkpoint, tmp_path_factory.mktemp("schemes"), options)
    return {(a.metadata.format, a.metadata.scheme): a for a in artifacts}


def test_each_scheme_is_written_in_the_formats_that_have_it(by_name):
    assert set(by_name) == {
        ("tflite", "float32"), ("onnx", "float32"), ("ort", "float32"),
        ("tflite", "weights8"), ("onnx", "weights8"),
        ("tflite", "weights4"), ("onnx", "weights4"),
        ("tflite", "int16x8"),
        ("tflite", "int8"), ("onnx", "int8"), ("ort", "int8"),
    }  # fmt: skip
    for (suffix, scheme), artifact in by_name.items():
        assert artifact.path.name == f"digits-{scheme}.{suffix}"


@pytest.mark.parametrize(
    ("scheme", "least"),
    [("float32", 100.0), ("weights8", 99.0), ("weights4", 94.0), ("int16x8", 98.5), ("int8", 97.0)],
)
def test_each_file_is_measured_and_keeps_the_answers(by_name, scheme, least):
    for (_, name), artifact in by_name.items():
        if name == scheme:
            assert artifact.metadata.measured.n > 200
            assert artifact.metadata.measured.agreement_pct >= least


def test_a_float_file_takes_pixels_and_an_integer_one_bytes(by_name):
    from edgecnn.runtime import load

    for (_, scheme), artifact in by_name.items():
        model = load(artifact.path)
        assert model.metadata == artifact.metadata
        expected = "uint8" if scheme in ("int8", "int16x8") else "float32"
        assert (model.input.dtype, model.output.dtype) == (expected, expected)


def test_fewer_bits_make_smaller_files(by_name):
    for suffix in ("tflite", "onnx"):
        sizes = [by_name[suffix, s].bytes for s in ("float32", "weights8", "weights4")]
        assert sizes[1] < 0.5 * sizes[0]
        assert sizes[2] < sizes[1]


def test_the_ort_files_answer_as_their_onnx_twins(by_name):
    from edgecnn.runtime import load

    for scheme, largest in (("float32", 1e-5), ("int8", 0)):
        first, second = (load(by_name[suffix, scheme].path) for suffix in ("onnx", "ort"))
        photos = np.random.default_rng(0).integers(
            0, 256, (8, *first.preprocessing.shape), dtype=np.uint8
        )
        assert np.abs(first.run(photos) - second.run(photos)).max() <= largest


def test_the_integer_form_leaves_no_conversion_in_the_file(by_name):
    opcodes = by_name["onnx", "int8"].metadata.opcodes
    assert "QLinearConv" in opcodes
    assert not {"QuantizeLinear", "DequantizeLinear", "Conv"} & set(opcodes)


def test_photos_that_took_part_are_told_and_others_are_not(by_name):
    for (_, scheme), artifact in by_name.items():
        told = artifact.metadata.calibration
        assert (told is None) == (scheme == "float32")


def test_weights_rounded_to_the_nearest_need_no_photos(checkpoint, tmp_path):
    import dataclasses

    from edgecnn.core import checkpoint as checkpoints
    from edgecnn.export import Options, export

    alone = checkpoints.Checkpoint(checkpoint.path, dataclasses.replace(checkpoint.card, data=None))
    options = Options(schemes=("weights8",), rounding="nearest")
    (artifact,) = export(alone, tmp_path / "out", options)
    assert artifact.metadata.calibration is None
    with pytest.raises(InputError, match="--calibration"):
        export(alone, tmp_path / "other", Options(schemes=("weights8",)))


def test_every_scheme_is_a_flag_and_all_asks_for_each():
    from edgecnn import cli
    from edgecnn.cli.export import _schemes
    from edgecnn.quantize import SCHEMES

    parser = cli.build_parser("export")
    named = [scheme for scheme in SCHEMES if scheme != "mixed"]  # an int8 file may turn out so
    assert set(_schemes(parser.parse_all(["run", "--out", "x", "--all"]))) == set(named)
    for scheme in named:
        assert _schemes(parser.parse_all(["run", "--out", "x", f"--{scheme}"])) == (scheme,)


def test_a_scheme_that_onnx_lacks_is_refused_there_alone():
    from edgecnn.export import Options

    with pytest.raises(InputError, match="no int16x8 files in ONNX"):
        Options(formats=("onnx",), schemes=("int16x8",))
    assert Options(formats=("tflite", "onnx"), schemes=("int16x8",)).files == [
        ("tflite", "int16x8")
    ]


def test_rows_say_the_format_of_each_file(by_name):
    folder = by_name["ort", "int8"].path.parent
    rows = json.loads((folder / "export.json").read_text())["artifacts"]
    assert {row["format"] for row in rows} == {"tflite", "onnx", "ort"}
