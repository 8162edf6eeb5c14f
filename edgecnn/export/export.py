"""Export: checkpoint in, checked and measured files out."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import itertools
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from edgecnn import evaluate, zoo
from edgecnn.core import files, progress, schema
from edgecnn.core.artifact import (
    Artifact,
    Calibration,
    FileMetadata,
    Format,
    Io,
    Measured,
    OnnxForm,
    Scheme,
    file_name,
)
from edgecnn.core.checkpoint import Card, Checkpoint, DataManifest
from edgecnn.core.errors import InputError, unknown
from edgecnn.core.runner import Runner
from edgecnn.data import Example
from edgecnn.export.checks import check_file
from edgecnn.export.ladder import Climb, Rung, climb
from edgecnn.export.photo_count import settle, still_gaining
from edgecnn.export.photos import Count, Photos, Wanted, choose_photos
from edgecnn.export.rungs import rung_of, rungs
from edgecnn.export.writers import Writers, file_output
from edgecnn.quantize import SCHEMES
from edgecnn.quantize import onnx as onnx_int8
from edgecnn.quantize.plan import Plan, Rounding
from edgecnn.quantize.quantized import Quantized
from edgecnn.quantize.ranges import METHODS, Method
from edgecnn.quantize.schemes import takes_photos
from edgecnn.runtime import load, metadata

Array: TypeAlias = npt.NDArray[Any]

EXPORT_SCHEMA = "edgecnn/export/1"
ROWS_FILE = "export.json"
LADDER_FILE = "ladder.json"

_SATURATION_PHOTOS = 32
# Rounding alone changes up to about 5 % of close answers between optimized and plain
# execution; a saturating file changes 15 % and more (measured on CPUs without VNNI).
_SATURATED_BELOW = 0.90
_LOW_AGREEMENT_PCT = 95.0
_PACKAGES = ("edgecnn", "tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime", "ai-edge-litert")


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
        seed: Of the draw of calibration photos.
        onnx_form: Of int8 ONNX files.
        max_drop: Points of top-1 that int8 may lose: the ladder is climbed until it doesn't.
        force: Replace files of the same name.
    """

    formats: tuple[Format, ...] = ("tflite",)
    schemes: tuple[Scheme, ...] = ("float32",)
    io: Io = "uint8"
    calibration: str | None = None
    calibration_count: Count = 200
    calibration_curve: bool = False
    ranges: Method = "minmax"
    rounding: Rounding = "compensated"
    seed: int = 0
    onnx_form: OnnxForm = "qdq"
    max_drop: float | None = None
    force: bool = False

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
        if self.calibration_count != "auto" and self.calibration_count < 1:
            raise InputError(
                f"{self.calibration_count} photos",
                where="--calibration-count",
                fix="give a number above zero",
            )

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


def export(checkpoint: Checkpoint, out: Path, options: Options) -> list[Artifact]:
    """Write one file a format and scheme, each parsed again and measured.

    Rows of earlier exports to the same folder are kept in its ``export.json``.

    Raises:
        InputError: a file of the same name exists (without force), the folder belongs to
            another checkpoint, or int8 has no calibration photos.
        CheckFailed: a written file is not what its name says; it is not kept.
    """
    rows = _earlier_rows(out, checkpoint.card, options)
    return _write_all(_exporter(checkpoint, out, options), rows)


def export_network(
    card: Card,
    out: Path,
    options: Options,
    *,
    photos: Photos,
    writers: Writers,
    runner: Runner,
) -> list[Artifact]:
    """Write the files of a network that has no checkpoint; see `export`.

    Args:
        card: What is to be said of it in the files.
        out: Their folder.
        options: What to write.
        photos: What sets ranges, and what judges.
        writers: Make the files' bytes.
        runner: Answers as the files should.
    """
    rows = _earlier_rows(out, card, options)
    photos, writers = _counted(options, photos, writers, runner)
    return _write_all(_Exporter(card, out, options, photos, writers, runner), rows)


def _write_all(exporter: _Exporter, rows: dict[str, dict[str, Any]]) -> list[Artifact]:
    out, options = exporter.out, exporter.options
    artifacts = []
    if options.max_drop is not None and any(scheme == "int8" for _, scheme in options.files):
        exporter.climb(options.max_drop)
    with progress.bar("exporting", total=len(options.files)) as advance:
        for suffix, scheme in options.files:
            artifact = exporter.write(suffix, scheme)
            artifacts.append(artifact)
            rows[artifact.path.name] = artifact.to_row()
            _write_rows(out, exporter.card, rows)
            advance(note=f"{suffix} {scheme}")
    return artifacts


class _Exporter:
    """What all files of one export share: the model, its photos and its answers."""

    def __init__(
        self,
        card: Card,
        out: Path,
        options: Options,
        photos: Photos,
        writers: Writers,
        runner: Runner | None,
    ) -> None:
        self.card, self.out, self.options = card, out, options
        self.photos, self.writers = photos, writers
        self.judging: Sequence[Example] = photos.judging
        self.reference: Array = np.zeros((0, len(card.classes)))
        if self.judging and runner is not None:
            self.reference, self.judging = evaluate.scores_of(runner, self.judging)

    def write(self, suffix: Format, scheme: Scheme) -> Artifact:
        """Make, check, measure and store one file."""
        started = time.perf_counter()
        path = self.out / file_name(self.card.name, scheme, suffix)
        made, about = self._draft(suffix, scheme, path)
        content = metadata.embed(made.content, about)
        measured = self._measure(content, path.name)
        warnings = self._warnings(made, about, measured)
        about = dataclasses.replace(about, measured=measured, warnings=warnings)
        content = metadata.embed(made.content, about)
        files.write_bytes(path, content)
        return Artifact(
            path=path,
            metadata=about,
            bytes=len(content),
            sha256=files.sha256(path),
            seconds=time.perf_counter() - started,
        )

    def climb(self, limit_points: float) -> Climb:
        """Let the int8 files follow the first plan that keeps the drop within a budget."""
        formats = [suffix for suffix, scheme in self.options.files if scheme == "int8"]
        floats = {suffix: self._trial(suffix, "float32") for suffix in formats}
        photo = next(iter(self.photos.pixels()))

        def judge(name: str, plan: Plan) -> Rung:
            self.writers.plan = plan
            made = {suffix: self._trial(suffix, "int8") for suffix in formats}
            return rung_of(name, made, floats, self._judged, photo)

        calibration = self.photos.calibration
        climbed, self.writers.plan = climb(
            rungs(self.writers),
            judge,
            limit_points=limit_points,
            record=self.out / LADDER_FILE,
            key=f"{self.card.model_sha256} {calibration and calibration.hash} {formats}",
        )
        return climbed

    def _trial(self, suffix: Format, scheme: Scheme) -> bytes:
        """Return a file that isn't kept."""
        made, about = self._draft(suffix, scheme, self.out / f"trial.{suffix}")
        return metadata.embed(made.content, about)

    def _draft(self, suffix: Format, scheme: Scheme, path: Path) -> tuple[Quantized, FileMetadata]:
        """Make and check one file's content; return also what it is to say about itself."""
        io: Io = self.options.io if scheme == "int8" else "float32"
        made = self.writers.make(suffix, scheme, io)
        opcodes = check_file(
            made.content,
            suffix,
            scheme=scheme,
            io=io,
            where=path,
            in_float=made.float_operations,
        )
        return made, FileMetadata(
            name=self.card.name,
            task=self.card.task,
            classes=self.card.classes,
            arch=self.card.arch,
            format=suffix,
            scheme=scheme,
            preprocessing=self.card.preprocessing,
            input=self.writers.file_input(scheme, io),
            output=file_output(scheme, io),
            source_sha256=self.card.model_sha256,
            calibration=self._calibration(scheme),
            versions=_versions(),
            opcodes=opcodes,
            data=_nameless(self.card.data),
        )

    def _calibration(self, scheme: Scheme) -> Calibration | None:
        if not takes_photos(scheme, self.options.rounding):
            return None
        note = self.photos.calibration
        return note and dataclasses.replace(note, ranges=self.options.ranges)

    def _measure(self, content: bytes, name: str) -> Measured | None:
        """Compare the file's answers with the checkpoint's, where there are photos to."""
        return self._judged(content, name) if self.judging else None

    def _judged(self, content: bytes, name: str) -> Measured:
        with tempfile.TemporaryDirectory(prefix="edgecnn-") as folder:
            path = Path(folder) / name
            files.write_bytes(path, content)
            scores, _ = evaluate.scores_of(load(path, threads=2), self.judging)
        answers, expected = scores.argmax(axis=1), self.reference.argmax(axis=1)
        labels = np.asarray([example.label for example in self.judging])
        labelled = self.photos.split != "calibration"
        return Measured(
            n=len(answers),
            split=self.photos.split,
            top1=float(np.mean(answers == labels)) if labelled else None,
            float_top1=float(np.mean(expected == labels)) if labelled else None,
            agreement_pct=float(100 * np.mean(answers == expected)),
        )

    def _warnings(
        self, made: Quantized, about: FileMetadata, measured: Measured | None
    ) -> tuple[str, ...]:
        warnings = []
        if made.float_operations:
            warnings.append(f"computed in float: {', '.join(made.float_operations)}")
        if measured is not None and measured.agreement_pct < _LOW_AGREEMENT_PCT:
            warnings.append(
                f"only {measured.agreement_pct:.1f} % of {measured.n} answers are the checkpoint's"
            )
        if about.scheme == "int8":
            warnings += self._calibration_warnings()
        if about.scheme == "int8" and about.format == "onnx":
            same = self._plain_agreement(made, about)
            if same < _SATURATED_BELOW:
                warnings.append(
                    f"on this CPU optimized and plain execution agree on {100 * same:.0f} % only: "
                    "its integer kernels may saturate"
                )
        return tuple(warnings)

    def _calibration_warnings(self) -> Iterator[str]:
        yield from self.photos.warnings()
        if self.writers.unsettled:
            yield self.writers.unsettled
        note = self.photos.calibration
        if self.options.calibration_count == "auto" and note:
            yield from still_gaining(note.curve)

    def _plain_agreement(self, made: Quantized, about: FileMetadata) -> float:
        how = about.input
        inputs = (
            (photo * np.float32(how.scale) + np.float32(how.offset)).astype(how.dtype)
            for photo in itertools.islice(self.photos.pixels(), _SATURATION_PHOTOS)
        )
        return onnx_int8.plain_agreement(made.content, inputs, twin=made.twin)[0]


def _exporter(checkpoint: Checkpoint, out: Path, options: Options) -> _Exporter:
    card = checkpoint.card
    needs_ranges = any(takes_photos(scheme, options.rounding) for _, scheme in options.files)
    photos = choose_photos(
        card,
        source=options.calibration,
        wanted=options.wanted if needs_ranges else None,
    )
    writers = Writers(
        zoo.restore(checkpoint),
        card.normalization,
        photos.pixels,
        rounding=options.rounding,
        ranges=options.ranges,
        onnx_form=options.onnx_form,
    )
    runner = zoo.CheckpointRunner(checkpoint) if photos.judging else None
    photos, writers = _counted(options, photos, writers, runner)
    return _Exporter(card, out, options, photos, writers, runner)


def _counted(
    options: Options, photos: Photos, writers: Writers, runner: Runner | None
) -> tuple[Photos, Writers]:
    """Return the photos to calibrate with after trying counts, where that is asked for."""
    if not (photos.aside and runner):
        return photos, writers
    wanted = None if options.calibration_count == "auto" else options.calibration_count
    return settle(writers, photos, runner, wanted=wanted)


def _earlier_rows(out: Path, card: Card, options: Options) -> dict[str, dict[str, Any]]:
    """Return the rows to keep, after making sure that nothing is overwritten unasked."""
    path = out / ROWS_FILE
    rows: dict[str, dict[str, Any]] = {}
    if path.is_file():
        content = schema.parse(
            files.read_bytes(path, limit=schema.JSON_LIMIT_BYTES, kind="file"), where=path
        )
        if not isinstance(content, dict) or content.get("schema") != EXPORT_SCHEMA:
            raise InputError("a file of another kind", where=path, fix="choose another --out")
        if content.get("source_sha256") != card.model_sha256 and not options.force:
            raise InputError(
                "files of another checkpoint", where=out, fix="choose another --out or add --force"
            )
        if content.get("source_sha256") == card.model_sha256:
            rows = {Path(row["path"]).name: row for row in content["artifacts"]}
    for suffix, scheme in options.files:
        files.refuse_existing(out / file_name(card.name, scheme, suffix), force=options.force)
    return {name: row for name, row in rows.items() if (out / name).is_file()}


def _write_rows(out: Path, card: Card, rows: dict[str, dict[str, Any]]) -> None:
    content = {
        "schema": EXPORT_SCHEMA,
        "source_sha256": card.model_sha256,
        "artifacts": [rows[name] for name in sorted(rows)],
    }
    files.write_text(out / ROWS_FILE, json.dumps(content, indent=1) + "\n")


def _nameless(data: DataManifest | None) -> DataManifest | None:
    """Return the manifest with the folder's name alone: a file travels, its path is private."""
    return data and dataclasses.replace(data, source=Path(data.source).name)


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
