"""A model and labelled photos to scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from edgecnn.core.checkpoint import Scores
from edgecnn.core.errors import InputError
from edgecnn.core.progress import bar
from edgecnn.core.runner import Runner
from edgecnn.core.runner import Scores as Outputs
from edgecnn.data import Batch, Example, Reader, Skipped
from edgecnn.tasks import Tally


def evaluate(
    runner: Runner,
    examples: Sequence[Example],
    *,
    split: str,
    batch: int = 32,
) -> tuple[Scores, list[Skipped]]:
    """Judge a model on labelled photos, which stream past once.

    Args:
        runner: The model; it names its classes.
        examples: Photos, labelled with indices of the runner's classes.
        split: "val", "test" or "all"; noted in the scores.
        batch: Photos given to the runner at once.

    Raises:
        InputError: no photos, too many unreadable ones, or outputs that are not one
            score a class.
    """
    reader = Reader(examples, runner.preprocessing, batch=batch)
    tally = Tally(runner.classes)
    for photos, outputs in stream(runner, reader):
        tally.add(outputs, photos.labels)
    return tally.scores(split), reader.skipped


def scores_of(
    runner: Runner, examples: Sequence[Example], *, batch: int = 32
) -> tuple[Outputs, list[Example]]:
    """Return a model's outputs, [N, classes], and the examples that could be read."""
    reader = Reader(examples, runner.preprocessing, batch=batch)
    outputs, kept = [], []
    for photos, scores in stream(runner, reader):
        outputs.append(scores)
        kept += [examples[index] for index in photos.indices]
    return np.concatenate(outputs), kept


def stream(runner: Runner, reader: Reader) -> Iterator[tuple[Batch, Outputs]]:
    """Yield each batch with the model's outputs.

    Raises:
        InputError: see `evaluate`.
    """
    if not reader.examples:
        raise InputError("no photos", where="the data", fix="choose another --split or folder")
    with bar("Judging", total=len(reader.examples)) as advance:
        for photos in reader:
            outputs = runner.run(photos.pixels)
            check_width(outputs, runner.classes)
            yield photos, outputs
            advance(len(photos.labels))


def check_width(outputs: Outputs, classes: Sequence[str]) -> None:
    """Refuse outputs that are not one score a class.

    Raises:
        InputError: another number of outputs than of class names.
    """
    if outputs.ndim != 2 or outputs.shape[1] != len(classes):
        raise InputError(
            f"{outputs.shape[-1]} outputs and {len(classes)} class names",
            where="the model",
            fix="give the names with --labels FILE, one a line",
        )
