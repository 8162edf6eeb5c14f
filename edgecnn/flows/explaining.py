"""Make a checkpoint's int8 plan as export does, and say what it does to each layer."""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy.typing as npt

from edgecnn import bench, data
from edgecnn.core import checkpoint as checkpoints
from edgecnn.core import files, schema
from edgecnn.core.catalogue import read_catalogue
from edgecnn.core.errors import InputError
from edgecnn.core.image import Preprocessing
from edgecnn.core.measurement import Measurement
from edgecnn.core.noise import AgainstFile, Noise
from edgecnn.explain.timing import read_times, with_times
from edgecnn.flows.needs import needs
from edgecnn.runtime.isolated import IsolatedModel

if TYPE_CHECKING:
    from edgecnn.core.checkpoint import Card
    from edgecnn.data import Example
    from edgecnn.export.options import Decided
    from edgecnn.quantize.plan import Plan, Rounding

Array: TypeAlias = npt.NDArray[Any]

# Of an export, which shouldn't wait for an explanation: noise settles on few photos.
_EXPORT_PHOTOS, _EXPORT_DETAILED = 200, 16
# Shares of the time settle sooner than the time itself.
_QUICK = bench.Protocol(seconds=0.5, warmup_seconds=0.2, per_op=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Question:
    """What is to be explained, on which photos.

    Attributes:
        data: DATA to compare on; the checkpoint's own when None.
        split: Part of it; None: the test part of what the model was trained on, else all.
        limit: Photos whose answers are compared.
        detailed: Photos whose tensors are, and on which each layer is quantized alone.
        calibration: DATA for the ranges; the checkpoint's training part when None.
        calibration_count: Photos that set them.
        rounding: How weights become integers.
        seed: Of the draw of calibration photos.
        times: A benchmark's JSON with times of operations; None: measured here and now.
    """

    data: str | None = None
    split: str | None = None
    limit: int = 500
    detailed: int = 64
    calibration: str | None = None
    calibration_count: int = 200
    rounding: Rounding = "compensated"
    seed: int = 0
    times: Path | None = None


def explain_layers(path: Path, question: Question) -> Noise:
    """Quantize a checkpoint and compare it with itself in float, layer by layer.

    Args:
        path: The checkpoint's folder.
        question: How, and on which photos.

    Raises:
        InputError: no checkpoint, or no photos.
        MissingExtra: TensorFlow is not installed.
    """
    found = checkpoints.read(path)
    card = found.card
    file = f"{card.name}-int8.tflite"
    given = None if question.times is None else read_times(question.times, file=file)
    examples, about = _examples(card, question)
    with needs("explaining layers", "train"):
        from edgecnn import zoo
        from edgecnn.explain.layers import Photos, measure
        from edgecnn.export.photos import Wanted, choose_photos
        from edgecnn.export.writers import Writers
    wanted = Wanted(count=question.calibration_count, seed=question.seed)
    calibrating = choose_photos(card, source=question.calibration, wanted=wanted)
    writers = Writers(
        zoo.restore(found), card.normalization, calibrating.pixels, rounding=question.rounding
    )
    plan = writers.plan
    judging = writers.calibrated(_pixels(examples, card.preprocessing))
    noise = measure(
        writers.float_tflite,
        plan,
        Photos(judging.inputs, about=about, detailed=question.detailed),
        file=file,
        replan=lambda names: writers.planned(writers.rounding, writers.ranges, in_float=names),
    )
    row = given or _timed_here(writers.float_tflite, plan, file)
    # A machine whose runtime has no profiler explains all but the times.
    return with_times(noise, row) if row.per_op else noise


def explain_against(path: Path, file: Path, question: Question) -> AgainstFile:
    """Compare an existing quantized file with a checkpoint's float network, layer by layer.

    Args:
        path: The checkpoint's folder.
        file: A ``.tflite`` or ``.onnx`` file, by whatever tool.
        question: On which photos.

    Raises:
        InputError: no checkpoint, no photos, an unusable file, or one of another network.
        MissingExtra: TensorFlow is not installed.
    """
    found = checkpoints.read(path)
    card = found.card
    with IsolatedModel(file):
        pass  # a file that kills its runtime does so in a process of its own
    examples, about = _examples(card, question)
    with needs("explaining layers", "train"):
        from edgecnn import zoo
        from edgecnn.explain.against import Pictures, compare_file
        from edgecnn.export.writers import Writers
    pixels = _pixels(examples, card.preprocessing)
    writers = Writers(zoo.restore(found), card.normalization, pixels)
    pictures = Pictures(
        pixels, writers.inputs, about=about, detailed=question.detailed, count=len(examples)
    )
    return compare_file(writers.float_tflite, file, pictures)


def _timed_here(float_file: bytes, plan: Plan, file: str) -> Measurement:
    from edgecnn.quantize.tflite import quantize

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file
        path.write_bytes(quantize(float_file, plan, io="int8").content)
        return bench.measure(bench.Job(path, protocol=_QUICK))


def prospects(arch: str) -> str | None:
    """Return what the catalogue warns of before an architecture is quantized, or nothing."""
    rows = [row for row in read_catalogue()["architectures"] if row["arch"] == arch]
    widest = max(rows, key=lambda row: row["alpha"], default=None)
    return None if widest is None or widest["int8"] == "good" else str(widest["int8_notes"])


class Look:
    """Explains the int8 files of an export beside them, for the report.

    Attributes:
        advice: What in the network integers do badly.
        noise: What was measured; None where it wasn't.
    """

    def __init__(self, *, measured: bool) -> None:
        self.advice: tuple[str, ...] = ()
        self.noise: Noise | None = None
        self._measured = measured

    def __call__(self, decided: Decided) -> None:
        """Write ``<name>-int8.layers.json``, unless only advice is wanted."""
        from edgecnn.explain.advice import advise
        from edgecnn.explain.layers import Photos, measure

        self.advice = advise(decided.float_file)
        if not self._measured:
            return
        photos = Photos(
            lambda: itertools.islice(decided.inputs(), _EXPORT_PHOTOS),
            about=decided.about,
            detailed=_EXPORT_DETAILED,
        )
        file = f"{decided.path.name}.tflite"
        self.noise = measure(decided.float_file, decided.plan, photos, file=file)
        path = decided.path.with_name(f"{decided.path.name}.layers.json")
        files.write_text(path, schema.dumps(self.noise))


def _examples(card: Card, question: Question) -> tuple[list[Example], str]:
    source = question.data or (card.data.source if card.data else None)
    if source is None:
        raise InputError("no photos of its own", where=card.name, fix="add --data PHOTOS")
    examples, split = data.examples_for(
        source, card.classes, card.data, split=question.split, limit=question.limit
    )
    if not examples:
        raise InputError("no photos", where=source, fix="choose another --split or --data")
    return examples, f"{Path(source).name}, {split}"


def _pixels(
    examples: Sequence[Example], preprocessing: Preprocessing
) -> Callable[[], Iterable[Array]]:
    def read() -> Iterator[Array]:
        for batch in data.Reader(examples, preprocessing):
            yield from batch.pixels[:, None]

    return read
