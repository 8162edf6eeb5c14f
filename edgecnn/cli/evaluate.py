"""``edgecnn evaluate``: how good one model is on labelled photos."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.cli.outcome import Outcome
from edgecnn.cli.parser import Parser, one_of, whole
from edgecnn.cli.train import DATA_HELP

if TYPE_CHECKING:
    from edgecnn.flows.judging import Judged


def evaluate_options(parser: Parser) -> None:
    """Add the arguments of `evaluate`."""
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL", help="a checkpoint's folder, or a file")
    add_photos(parser)
    add("--gallery", type=Path, metavar="DIR", help="write pictures of right and wrong answers")
    add_runtime(parser)


def add_photos(parser: Parser) -> None:
    """Add the arguments that choose labelled photos."""
    add = parser.add_argument
    add("--data", required=True, metavar="DATA", help=DATA_HELP)
    add(
        "--split",
        type=one_of("split", "test", "all", "val", "train"),
        metavar="PART",
        help="test or all (default: test for the photos that the model was trained on)",
    )
    add("--limit", type=whole(1), metavar="N", help="at most N photos, spread over the classes")


def add_runtime(parser: Parser) -> None:
    """Add the arguments that choose how a file is run."""
    group = parser.add_argument_group("for a file")
    group.add_argument("--labels", type=Path, metavar="FILE", help="names of its classes")
    group.add_argument(
        "--runtime", metavar="NAME", help="litert, tflite-runtime, onnxruntime or openvino"
    )
    group.add_argument(
        "--threads", type=whole(1, 256), default=1, metavar="N", help="CPU threads (default: 1)"
    )


def evaluate(args: argparse.Namespace) -> Outcome:
    """Measure the accuracy of a checkpoint or of a file, class by class.

    Shows top-1 and top-5, recall and precision of each class and the confusion matrix.
    Photos that can't be read are skipped and listed. The model's own test part is used
    where DATA is what it was trained on, else all of DATA.

    Example: edgecnn evaluate out/run-int8.tflite --data photos/
    """
    from edgecnn.flows.judging import Photos, judge
    from edgecnn.flows.opening import open_model

    photos = Photos(source=args.data, split=args.split, limit=args.limit)
    with open_model(
        args.model, runtime=args.runtime, threads=args.threads, labels=args.labels
    ) as model:
        judged = judge(model, photos, gallery=args.gallery)
    return Outcome(_row(args.model, judged), lambda: _view(judged))


def _row(model: Path, judged: Judged) -> dict[str, Any]:
    scores = judged.scores
    return {
        "schema": "edgecnn/evaluation/1",  # for `compare`, which reads what --json printed
        "model": str(model),
        "sha256": judged.sha256,
        "split": scores.split,
        "n": scores.n,
        "top1": scores.top1,
        "top5": scores.top5,
        "macro_recall": scores.macro_recall,
        "loss": scores.loss,
        "per_class": [
            {"class": row.name, "n": row.n, "recall": row.recall, "precision": row.precision}
            for row in scores.per_class
        ],
        "confusion": scores.confusion,
        "skipped": [{"path": str(s.path), "reason": s.reason} for s in judged.skipped],
    }


def _view(judged: Judged) -> list[Any]:
    from edgecnn.report.text import scores_table

    skipped = [f"skipped {photo.path}: {photo.reason}" for photo in judged.skipped]
    return [scores_table(judged.scores), *skipped]
