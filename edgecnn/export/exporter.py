"""One export's files: each drafted, checked, measured and stored."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import itertools
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn import data, evaluate
from edgecnn.core import files
from edgecnn.core.artifact import (
    Artifact,
    Calibration,
    FileMetadata,
    Format,
    Io,
    Measured,
    Scheme,
    file_name,
)
from edgecnn.core.checkpoint import Card, DataManifest
from edgecnn.core.errors import InputError
from edgecnn.core.runner import Runner
from edgecnn.data import Example
from edgecnn.export.checks import check_file
from edgecnn.export.ladder import LADDER_FILE, Rung, climb
from edgecnn.export.options import Decided, Options
from edgecnn.export.photo_count import still_gaining
from edgecnn.export.photos import Photos
from edgecnn.export.rungs import rung_of, rungs, rungs_before
from edgecnn.export.writers import Writers, file_output
from edgecnn.quantize import onnx as onnx_int8
from edgecnn.quantize.plan import Plan
from edgecnn.quantize.quantized import Quantized
from edgecnn.quantize.schemes import is_integer, takes_photos
from edgecnn.runtime import load, metadata

Array: TypeAlias = npt.NDArray[Any]

_SATURATION_PHOTOS = 32
# Rounding alone changes up to about 5 % of close answers between optimized and plain
# execution; a saturating file changes 15 % and more (measured on CPUs without VNNI).
_SATURATED_BELOW = 0.90
_LOW_AGREEMENT_PCT = 95.0
_PACKAGES = ("edgecnn", "tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime", "ai-edge-litert")


class Exporter:
    """What all files of one export share: the model, its photos and its answers.

    Attributes:
        shortfall: What to say of int8 files where the ladder or training missed its aim.
    """

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
        self.shortfall = ""
        if self.judging and runner is not None:
            self.reference, self.judging = evaluate.scores_of(runner, self.judging)

    def write(self, suffix: Format, scheme: Scheme) -> Artifact:
        """Make, check, measure and store one file."""
        started = time.perf_counter()
        made, about = self._draft(suffix, scheme)
        path = self.out / file_name(self.card.name, about.scheme, suffix)
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

    def decided(self, artifacts: Sequence[Artifact]) -> Decided:
        """Return what the int8 files among some compute, and photos to look at it with."""
        file = next(a for a in artifacts if a.metadata.scheme in ("int8", "mixed"))
        examples = self.judging or self.photos.calibrating
        return Decided(
            path=file.path.with_suffix(""),
            float_file=self.writers.float_tflite,
            plan=self.writers.plan,
            inputs=self.writers.calibrated(lambda: self._pixels_of(examples)).inputs,
            about=f"the {self.photos.split if self.judging else 'calibration'} part",
        )

    def _pixels_of(self, examples: Sequence[Example]) -> Iterator[Array]:
        for batch in data.Reader(examples, self.card.preprocessing):
            yield from batch.pixels[:, None]

    def climb(self, limit_points: float) -> None:
        """Let the int8 files follow the first plan that keeps the drop within a budget."""
        formats = [suffix for suffix, scheme in self.options.files if scheme == "int8"]
        floats = {suffix: self._trial(suffix, "float32") for suffix in formats}
        photo = next(iter(self.photos.pixels()))

        def judge(name: str, plan: Plan) -> Rung:
            self.writers.plan = plan
            made = {suffix: self._trial(suffix, "int8") for suffix in formats}
            return rung_of(name, made, floats, self._judged, photo)

        calibration = self.photos.calibration
        found, self.writers.plan = climb(
            rungs(self.writers),
            judge,
            limit_points=limit_points,
            compared=rungs_before(self.options.rounding),
            record=self.out / LADDER_FILE,
            key=f"{self.card.model_sha256} {calibration and calibration.hash} {formats} "
            f"{self.options.per_tensor} {self.options.equalizes} "
            f"{self.options.io} {self.options.onnx_form} {_versions().get('edgecnn')} "
            f"{self.card.preprocessing} {self.card.normalization}",
        )
        if not found.reached:
            self.shortfall = (
                f"no rung keeps to {limit_points:g} points: the best is {found.best.to_text()}"
            )

    def train(self, epochs: int) -> None:
        """Train the plan of int8 files with rounding."""
        before = self.writers.plan
        self.writers.plan = self.writers.trained(before, epochs=epochs)
        if self.writers.plan is before:
            self.shortfall = (
                "training with rounding gained nothing that is more than chance on photos kept "
                "aside: the plan is as it was before; more --calibration-count may help"
            )

    def _trial(self, suffix: Format, scheme: Scheme) -> bytes:
        """Return a file that isn't kept."""
        made, about = self._draft(suffix, scheme)
        return metadata.embed(made.content, about)

    def _draft(self, suffix: Format, scheme: Scheme) -> tuple[Quantized, FileMetadata]:
        """Make and check one file's content; return also what it is to say about itself."""
        io: Io = self.options.io if is_integer(scheme) else "float32"
        made = self.writers.make(suffix, scheme, io)
        if scheme == "int8" and made.float_operations:
            self._allow_floats(made.float_operations, suffix)
            scheme = "mixed"
        path = self.out / file_name(self.card.name, scheme, suffix)
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

    def _allow_floats(self, names: tuple[str, ...], suffix: Format) -> None:
        """Refuse an int8 file that computes in float, unless that was asked for."""
        if not self.options.mixed and self.options.max_drop is None:
            raise InputError(
                f"no int8 kernel for {', '.join(names)}",
                where=f"{self.card.name} as {suffix}",
                fix="use --mixed, which keeps it in float, or another network",
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
        if self.shortfall and about.scheme in ("int8", "mixed"):
            warnings.append(self.shortfall)
        if made.float_operations:
            warnings.append(f"computed in float: {', '.join(made.float_operations)}")
        if measured is not None and measured.agreement_pct < _LOW_AGREEMENT_PCT:
            warnings.append(
                f"only {measured.agreement_pct:.1f} % of {measured.n} answers are the checkpoint's"
            )
        if is_integer(about.scheme):
            warnings += self._calibration_warnings()
        if about.scheme in ("int8", "mixed") and about.format == "onnx":
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
