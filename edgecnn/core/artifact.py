"""An Artifact: one ``.tflite``, ``.onnx`` or ``.ort`` file that explains itself.

The explanation is one JSON object inside the file: an appended zip member in a TFLite
or ORT file (still a valid flatbuffer), an entry of ``metadata_props`` in an ONNX file.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias, get_args

from edgecnn.core.checkpoint import DataManifest, Task
from edgecnn.core.image import Preprocessing

Format: TypeAlias = Literal["tflite", "onnx", "ort"]
Scheme: TypeAlias = Literal[
    "float32", "float16", "weights8", "weights4", "dynamic", "int16x8", "mixed", "int8"
]
Io: TypeAlias = Literal["uint8", "int8", "float32"]
OnnxForm: TypeAlias = Literal["qdq", "integer"]
"""How an 8-bit ONNX file says it: float operations between conversions, or integer ones."""

MODEL_SUFFIXES = tuple(f".{name}" for name in get_args(Format))
"""Of the files that this toolkit writes and reads."""

METADATA_NAME = "edgecnn.json"
"""Name of the zip member, and of the ``metadata_props`` key."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileInput:
    """How pixels 0..255 become the file's input: ``pixel * scale + offset``, cast to dtype.

    uint8 files take the camera's bytes: scale 1, offset 0. The layout is the order of the
    axes of the file's input tensor.
    """

    dtype: Io
    scale: float = 1.0
    offset: float = 0.0
    layout: Literal["NHWC", "NCHW"] = "NHWC"


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileOutput:
    """How the file's output becomes scores: ``(value - zero_point) * scale``, float32."""

    dtype: Io
    scale: float = 1.0
    zero_point: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class CalibrationPoint:
    """What a file from so many calibration photos does on others, kept aside.

    Attributes:
        n: Photos that set the ranges.
        agreement_pct: Share of the other photos whose answer is the checkpoint's, 0..100.
        sqnr_db: Power of the checkpoint's scores over that of their error, decibels.
        seconds: To make the file.
    """

    n: int
    agreement_pct: float
    sqnr_db: float
    seconds: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Calibration:
    """Which photos set the ranges, and how.

    Attributes:
        n: Their count.
        seed: What drew them.
        hash: Of their contents.
        ranges: How ranges were chosen: a name of `edgecnn.quantize.ranges.METHODS`.
        skipped: Photos that were drawn and could not be read.
        curve: Other counts that were tried, smallest first.
    """

    n: int
    seed: int
    hash: str
    ranges: str = "minmax"
    skipped: int = 0
    curve: tuple[CalibrationPoint, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """The file against its checkpoint, on labelled photos or on calibration photos kept aside.

    ``top1`` and ``float_top1`` are fractions 0..1, none without labels.
    """

    n: int
    split: str
    top1: float | None
    float_top1: float | None
    agreement_pct: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileMetadata:
    """What an artefact's file says about itself.

    Attributes:
        name: The checkpoint's name.
        source_sha256: Hash of the checkpoint's ``model.keras``.
        versions: Package name to version, at export.
        opcodes: Operation name to its highest version in the file (TFLite), or the opset.
        data: Which photos the model was trained on, so that it is judged on others; its
            source is a name, never a path of the machine where it was made.
        measured: What the file reached right after it was written.
        warnings: What the writer noticed.
    """

    SCHEMA: ClassVar[str] = "edgecnn/artifact/1"

    name: str
    task: Task
    classes: tuple[str, ...]
    arch: str
    format: Format
    scheme: Scheme
    preprocessing: Preprocessing
    input: FileInput
    output: FileOutput
    source_sha256: str
    calibration: Calibration | None
    versions: dict[str, str]
    opcodes: dict[str, int]
    data: DataManifest | None = None
    measured: Measured | None = None
    warnings: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Artifact:
    """One written file and the cost of writing it."""

    path: Path
    metadata: FileMetadata
    bytes: int
    sha256: str
    seconds: float

    def to_row(self) -> dict[str, Any]:
        """Return the row that ``export --json`` prints (its keys are a contract)."""
        meta, measured = self.metadata, self.metadata.measured
        calibration = meta.calibration and dataclasses.asdict(meta.calibration)
        return {
            "path": str(self.path),
            "format": meta.format,
            "scheme": meta.scheme,
            "io": meta.input.dtype,
            "bytes": self.bytes,
            "sha256": self.sha256,
            "seconds": self.seconds,
            "n": measured and measured.n,
            "split": measured and measured.split,
            "top1": measured and measured.top1,
            "float_top1": measured and measured.float_top1,
            "agreement_pct": measured and measured.agreement_pct,
            "calibration": calibration,
            "warnings": list(meta.warnings),
        }


def file_name(name: str, scheme: Scheme, suffix: Format) -> str:
    """Return the file's name: ``<checkpoint>-<scheme>.<tflite|onnx|ort>``."""
    return f"{name}-{scheme}.{suffix}"
