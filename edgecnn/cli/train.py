"""``edgecnn train``: photos in, a checkpoint out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.cli.outcome import Outcome
from edgecnn.cli.parser import Parser, number, one_of, whole
from edgecnn.core.errors import InputError

if TYPE_CHECKING:
    from edgecnn.core.checkpoint import Card, Checkpoint

DATA_HELP = (
    "a folder with one sub-folder a class, or with train/, val/, test/ of such; or digits, "
    "mnist, fashion_mnist, cifar10, tf_flowers, tfds:NAME"
)


def train_options(parser: Parser) -> None:
    """Add the arguments of `train`."""
    add = parser.add_argument
    add("data", metavar="DATA", help=DATA_HELP)
    add("--out", type=Path, required=True, metavar="CKPT", help="folder of the new checkpoint")
    add("--name", help="name of the run and of its artefacts (default: the folder's)")
    add("--force", action="store_true", help="replace an earlier checkpoint")
    add("--resume", action="store_true", help="continue an interrupted run, to the same result")
    network = parser.add_argument_group("network")
    add = network.add_argument
    add("--task", default="classify", help="what to learn (default: classify)")
    add("--arch", metavar="NAME", help="a name of `edgecnn zoo` (default: efficientnet_lite0)")
    add("--alpha", type=number(0.05, 4), help="width of the network (default: 1.0)")
    add("--size", type=whole(8, 4096), metavar="PIXELS", help="side of the input (default: 160)")
    add("--weights", metavar="SOURCE", help="imagenet (default), none, or a file of weights")
    add(
        "--resize",
        type=one_of("resize", "cover", "squash", "letterbox"),
        metavar="HOW",
        help="cover (crop the centre, default), squash or letterbox",
    )
    schedule = parser.add_argument_group("schedule (defaults depend on the weights)")
    add = schedule.add_argument
    add("--recipe", metavar="FILE.toml", help="options from a file, or from a recipe of the zoo")
    add("--head-epochs", type=whole(0), metavar="N", help="passes over the frozen features")
    add("--tune-epochs", type=whole(0), metavar="N", help="passes with the upper blocks trained")
    add("--batch", type=whole(1), metavar="N", help="photos of one step (default: 32)")
    add(
        "--mixed-precision",
        action="store_true",
        default=None,
        help="compute in float16 on a GPU; the result is float32",
    )
    add("--views", type=whole(1), metavar="N", help="augmented versions of each photo")
    add(
        "--augment",
        type=one_of("strength", "light", "strong", "flip", "none"),
        metavar="STRENGTH",
        help="light, strong (default), flip (mirror only) or none",
    )
    add("--split", metavar="A/B/C", help="train/val/test (default: 75/15/10)")
    add("--seed", type=whole(0), metavar="N", help="of the split and of all that is random")
    _checkpoint_options(parser)


def _checkpoint_options(parser: Parser) -> None:
    """Add what one trained checkpoint can give another."""
    teaching = parser.add_argument_group("a teacher (knowledge distillation)")
    add = teaching.add_argument
    add("--teacher", type=Path, metavar="CKPT", help="learn this checkpoint's answers as well")
    add("--distill-weight", type=number(0, 1), metavar="W", help="its share (default: 0.5)")
    add(
        "--distill-temperature",
        type=number(0.5, 100),
        metavar="T",
        help="what softens both answers (default: 4)",
    )
    fine = parser.add_argument_group("fine-tuning and compression")
    add = fine.add_argument
    add("--from", type=Path, dest="base", metavar="CKPT", help="start from this checkpoint")
    add("--prune", type=number(0, 0.99), metavar="SHARE", help="zero so many of the weights")
    add("--cluster", type=whole(0, 256), metavar="N", help="leave N different weights a layer")
    add(
        "--compress",
        type=one_of("reach", "inner", "all"),
        metavar="LAYERS",
        help="inner (spares the first, last and depthwise layers; default) or all",
    )


def train(args: argparse.Namespace) -> Outcome:
    """Train a classifier of photos; two phases on pretrained weights, or from scratch.

    The head is trained on features of the frozen network, which each photo passes only
    once a view; then the upper blocks are tuned. With --weights none the whole network is
    trained from random weights. An interrupted run continues with --resume. The result is
    a folder with the model and its card: classes, preprocessing, history and scores.

    With --teacher a larger checkpoint of the same classes answers each training photo, with
    the same changes, at its own size. With --from a checkpoint is fine-tuned: its network,
    its preprocessing and its split stay. --prune 0.7 then zeroes 70 % of each layer's weights
    little by little, and --cluster 32 leaves each layer 32 different ones. Both make files that
    compress better, and hardly ever faster ones.

    Example: edgecnn train photos/ --arch efficientnet_lite0 --out run/
    """
    from edgecnn.data import parse_split
    from edgecnn.flows.needs import needs
    from edgecnn.flows.recipes import recipe_file

    if args.task != "classify":
        raise InputError(
            f"task {args.task!r} is not available in this version",
            where="--task",
            fix="leave it out to classify",
        )
    split = parse_split(args.split) if args.split else None
    base, teacher = _read(args.base), _read(args.teacher)
    recipe = recipe_file(args.recipe) if args.recipe else None
    with needs("training", "train"):
        from edgecnn import training
    plan = training.make_recipe(recipe, base=base.card if base else None, **_given(args))
    trained = training.train(
        args.data,
        args.out,
        plan,
        split=split,
        teacher=teacher,
        base=base,
        resume=args.resume,
        force=args.force,
        name=args.name,
    )
    return Outcome(train_row(trained), lambda: _view(trained))


def train_row(trained: Checkpoint) -> dict[str, Any]:
    """Return what ``train --json`` prints."""
    card = trained.card
    data = card.data
    return {
        "checkpoint": str(trained.path),
        "arch": card.arch,
        "params": card.params,
        "macs": card.macs,
        "classes": card.classes,
        "n_train": data and data.n_train,
        "n_val": data and data.n_val,
        "n_test": data and data.n_test,
        "phases": card.phases,
        "val_top1": _top1(card, "val"),
        "test_top1": _top1(card, "test"),
        "seconds": card.seconds,
        "peak_rss_mb": card.peak_rss_mb,
        "base": card.base,
        "teacher": card.teacher,
        "compression": card.compression,
    }


def _read(path: Path | None) -> Checkpoint | None:
    from edgecnn.core import checkpoint

    return checkpoint.read(path) if path else None


def _top1(card: Card, split: str) -> float | None:
    scores = card.scores_on(split)
    return scores.top1 if scores else None


def _given(args: argparse.Namespace) -> dict[str, Any]:
    names = (
        *("arch", "alpha", "size", "weights", "resize"),
        *("head_epochs", "tune_epochs", "batch", "views", "augment", "seed"),
        *("mixed_precision", "distill_weight", "distill_temperature"),
        *("prune", "cluster", "compress"),
    )
    return {name: getattr(args, name) for name in names}


def _view(trained: Checkpoint) -> list[Any]:
    from edgecnn.report.text import scores_table

    scores = trained.card.scores_on("test") or trained.card.scores_on("val")
    parts: list[Any] = [scores_table(scores)] if scores else []
    next_line = f"next: edgecnn export {trained.path} --int8 --float32 --out {trained.path}-files"
    if trained.card.compression:
        parts.append(_compressed(trained.card))
    return [*parts, f"checkpoint: {trained.path}", next_line]


def _compressed(card: Card) -> str:
    """Return one line on what the kernels consist of."""
    touched = [row for row in card.compression if row.spared is None]
    spared = [f"{row.layer} ({row.spared})" for row in card.compression if row.spared]
    total = sum(row.weights for row in card.compression)
    zeros = sum(row.zeros for row in card.compression)
    most = max((row.distinct for row in touched), default=0)
    line = (
        f"compressed: {len(touched)} kernels; {100 * zeros / total:.1f} % of all {total:,} kernel "
        f"weights are zero; at most {most:,} different values in one"
    )
    return f"{line}; spared: {', '.join(spared)}" if spared else line
