"""Judge models on labelled photos: one by itself, or files against their checkpoint."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from edgecnn import data, evaluate
from edgecnn.core import files, schema
from edgecnn.core.checkpoint import Scores
from edgecnn.core.errors import InputError
from edgecnn.core.measurement import Accuracy
from edgecnn.core.parity import Parity
from edgecnn.flows.opening import Opened, open_checkpoint, open_model

PARITY_FILE = "parity.json"


@dataclasses.dataclass(frozen=True)
class Judged:
    """What one model reached.

    Attributes:
        sha256: Of what was judged.
        scores: On all photos that could be read.
        skipped: Photos that could not.
    """

    sha256: str
    scores: Scores
    skipped: Sequence[data.Skipped]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Photos:
    """Which photos to judge on.

    Attributes:
        source: DATA as the command line has it.
        split: "test" or "all"; None: the test part of the photos that the model was trained
            on, all of any others.
        limit: At most so many, spread over the classes.
    """

    source: str
    split: str | None = None
    limit: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """What the user wants to hold; None: no limit.

    Attributes:
        min_agreement_pct: Share of photos with the reference's answer, 0..100.
        max_drop_points: Top-1 that a file may lose, points.
    """

    min_agreement_pct: float | None = None
    max_drop_points: float | None = None


def judge(model: Opened, photos: Photos, *, gallery: Path | None = None) -> Judged:
    """Score one model on labelled photos.

    Args:
        model: An open model.
        photos: Where they are and how many.
        gallery: Folder for contact sheets of right and wrong answers.

    Raises:
        InputError: unusable photos, or classes that the model doesn't know.
    """
    examples, split = _examples(model, photos)
    scores, skipped = evaluate.evaluate(model.runner, examples, split=split)
    if gallery is not None:
        evaluate.write_gallery(model.runner, examples, gallery)
    return Judged(model.sha256, scores, skipped)


def accuracy_of(path: Path, photos: Photos, *, threads: int = 1) -> Accuracy:
    """Return the top-1 accuracy of one file, for its Measurement."""
    with open_model(path, threads=threads) as model:
        scores = judge(model, photos).scores
    return Accuracy(data=photos.source, n=scores.n, top1=scores.top1)


def verify(
    paths: Sequence[Path],
    photos: Photos,
    *,
    against: Path | None,
    limits: Limits,
    out: Path | None = None,
    force: bool = False,
) -> Parity:
    """Compare files with their checkpoint, and with each other.

    Args:
        paths: Model files.
        photos: What they answer.
        against: The checkpoint; without one the first file is the reference.
        limits: What the user wants to hold.
        out: Folder for ``parity.json``, with thumbnails of the changed answers.
        force: Replace that file.

    Raises:
        InputError: nothing to compare with, or something unusable.
    """
    if against is None and len(paths) < 2:
        raise InputError(
            "only one file, and no checkpoint", where="the comparison", fix="add --against CKPT"
        )
    target = out / PARITY_FILE if out else None
    if target:
        files.refuse_existing(target, force=force)
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(open_model(path)) for path in paths]
        reference = opened[0] if against is None else open_checkpoint(against)
        examples, _ = _examples(reference, photos)
        parity = evaluate.compare(
            str(reference.path),
            reference.runner,
            {model.path: model.runner for model in opened},
            examples,
            data=photos.source,
            min_agreement=limits.min_agreement_pct,
            max_drop=limits.max_drop_points,
            thumbnails=out is not None,
        )
        parity = dataclasses.replace(parity, reference_sha256=reference.sha256)
    if target:
        files.write_text(target, schema.dumps(parity))
    return parity


def _examples(model: Opened, photos: Photos) -> tuple[list[data.Example], str]:
    return data.examples_for(
        photos.source, model.runner.classes, model.data, split=photos.split, limit=photos.limit
    )
