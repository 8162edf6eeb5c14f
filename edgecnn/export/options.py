"""What to export and how."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeAlias, get_args

import numpy.typing as npt

from edgecnn.core.artifact import Format, Io, OnnxForm, Scheme
from edgecnn.core.errors import InputError, unknown
from edgecnn.export.photos import Count, Wanted
from edgecnn.quantize import SCHEMES
from edgecnn.quantize.plan import Plan, Rounding
from edgecnn.quantize.ranges import DEFAULT, METHODS, Method
from edgecnn.quantize.schemes import is_integer

Array: TypeAlias = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decided:
    """What int8 files compute, and photos to look at them with.

    Attributes:
        path: Of such a file, without its suffix.
        float_file: The float32 TFLite file that the plan was made on.
        plan: What the integer files compute.
        inputs: Returns photos as that float file takes them, [1, H, W, C] float32 each, anew
            at each call: those that judge files, or else those that calibrated.
        about: What they are, for people.
    """

    path: Path
    float_file: bytes
    plan: Plan
    inputs: Callable[[], Iterable[Array]]
    about: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What to export and how.

    Attributes:
        formats: File formats.
        schemes: Quantization schemes; one that a format lacks is left out there.
        io: Input and output type of int8 files; others take float32.
        calibration: DATA for int8's ranges; the checkpoint's training part when None.
        calibration_count: Photos that set the ranges; "auto" tries more and more of them until
            photos kept aside gain nothing.
        calibration_curve: Measure fewer calibration photos too, for the manifest.
        ranges: How int8 activations get their ranges from the photos.
        rounding: How weights in 8 or 4 bits become integers: "compensated" makes up for its
            errors on the calibration photos; "nearest" is quicker.
        qat: Epochs of quantization-aware training of int8 files on the calibration photos; the
            ladder trains by itself, as its last rung.
        per_tensor: Let the channels of an integer layer's weights share one scale, for
            accelerators that know no other.
        equalize: Rescale channels to even ranges before they become integers; None: where
            they share one scale.
        seed: Of the draw of calibration photos.
        onnx_form: Of int8 ONNX files.
        mixed: Let operations without an int8 kernel stay in float; the file is called mixed.
        max_drop: Points of top-1 that int8 may lose: the ladder is climbed until it doesn't.
        force: Replace files of the same name.
        look: Called once int8 files are written, to explain what was decided.
    """

    formats: tuple[Format, ...] = ("tflite",)
    schemes: tuple[Scheme, ...] = ("float32",)
    io: Io = "uint8"
    calibration: str | None = None
    calibration_count: Count = 200
    calibration_curve: bool = False
    ranges: Method = DEFAULT
    rounding: Rounding = "compensated"
    qat: int = 0
    per_tensor: bool = False
    equalize: bool | None = None
    seed: int = 0
    onnx_form: OnnxForm = "qdq"
    mixed: bool = False
    max_drop: float | None = None
    force: bool = False
    look: Callable[[Decided], None] | None = None

    def __post_init__(self) -> None:
        for scheme in self.schemes:
            if scheme not in SCHEMES:
                raise unknown("scheme", scheme, SCHEMES, where="the schemes to export")
        for suffix in self.formats:
            if suffix not in get_args(Format):
                raise unknown("format", suffix, get_args(Format), where="--format")
        if not self.files:
            raise InputError(
                f"no {self.schemes[0]} files",
                where="ONNX",
                fix="add --format tflite, or --int8 for ONNX",
            )
        if self.ranges not in METHODS:
            raise unknown("way to choose ranges", self.ranges, METHODS, where="--ranges")
        self._refuse_without_integers()
        self._refuse_numbers()

    def _refuse_without_integers(self) -> None:
        if any(map(is_integer, self.schemes)):
            return
        for name in ("per_tensor", "equalize"):
            if getattr(self, name):
                raise InputError(
                    f"no integer weights in {', '.join(self.schemes)} files",
                    where=f"--{name.replace('_', '-')}",
                    fix="add --int8 or --int16x8",
                )

    def _refuse_numbers(self) -> None:
        if self.qat and "int8" not in self.schemes:
            raise InputError("nothing to train", where="--qat", fix="add --int8")
        if self.qat and self.max_drop is not None:
            raise InputError(
                "both --qat and --max-drop",
                where="the options",
                fix="leave --qat out: a budget trains where nothing cheaper keeps to it",
            )
        if self.calibration_count != "auto" and self.calibration_count < 1:
            raise InputError(
                f"{self.calibration_count} photos",
                where="--calibration-count",
                fix="give a number above zero",
            )

    @property
    def equalizes(self) -> bool:
        """Whether integer files get channels of even ranges."""
        return self.per_tensor if self.equalize is None else self.equalize

    @property
    def wanted(self) -> Wanted:
        """Which photos calibrate, and whether other counts of them are tried."""
        curve = self.calibration_curve or self.calibration_count == "auto"
        return Wanted(count=self.calibration_count, seed=self.seed, compare_counts=curve)

    @property
    def files(self) -> list[tuple[Format, Scheme]]:
        """Format and scheme of each file to write."""
        pairs = itertools.product(self.schemes, self.formats)
        return [(suffix, scheme) for scheme, suffix in pairs if suffix in SCHEMES[scheme].formats]
