"""A description of ours for the tiny networks of `tiny_files`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgecnn.core.artifact import Calibration, FileInput, FileMetadata, FileOutput, Format, Io
from edgecnn.core.image import Preprocessing
from edgecnn.runtime import embed

CLASSES = ("ape", "bee", "cat", "dog")


def _description(kind: Format = "tflite", dtype: Io = "float32", **changes: object) -> FileMetadata:
    fields: dict[str, object] = {
        "name": "tiny",
        "task": "classify",
        "classes": CLASSES,
        "arch": "ds_cnn",
        "format": kind,
        "scheme": "float32" if dtype == "float32" else "int8",
        "preprocessing": Preprocessing(height=32, width=32, resize="squash"),
        "input": FileInput(dtype=dtype),
        "output": FileOutput(dtype=dtype, scale=1.0 if dtype == "float32" else 1 / 256),
        "source_sha256": "0" * 64,
        "calibration": Calibration(n=8, seed=0, hash="1" * 64),
        "versions": {"tensorflow": "2.21.0"},
        "opcodes": {"CONV_2D": 3},
    }
    return FileMetadata(**{**fields, **changes})  # type: ignore[arg-type] - checked by the class


@pytest.fixture(scope="session")
def description() -> Callable[..., FileMetadata]:
    """Makes what a file says about itself: (format, dtype at both ends, other fields)."""
    return _description


@pytest.fixture(scope="session")
def own_files(tiny_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny files again, with a description of ours inside."""
    folder = tmp_path_factory.mktemp("own")
    for name, kind, dtype in (
        ("tiny-float32.tflite", "tflite", "float32"),
        ("tiny-int8.tflite", "tflite", "uint8"),
        ("tiny-float32.onnx", "onnx", "float32"),
    ):
        data = (tiny_files / name).read_bytes()
        (folder / name).write_bytes(embed(data, _description(kind, dtype)))
    return folder


@pytest.fixture(scope="session")
def mobilenet(shared: Path) -> Path:
    """A foreign uint8 file with 1,001 outputs."""
    return shared / "models" / "mobilenet_v1_0.25_128_quant.tflite"
