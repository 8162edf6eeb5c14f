"""``edgecnn explain``: why a network answers as it does; so far, what int8 does to its layers."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.cli.outcome import Outcome
from edgecnn.cli.parser import Parser, one_of, whole
from edgecnn.cli.train import DATA_HELP
from edgecnn.core import schema
from edgecnn.core.errors import InputError

if TYPE_CHECKING:
    from edgecnn.core.noise import AgainstFile, Noise

_SUFFIXES = (".json", ".png", ".svg")


def explain_options(parser: Parser) -> None:
    """Add the arguments of `explain`."""
    add = parser.add_argument
    add("model", type=Path, metavar="CKPT", help="a checkpoint's folder")
    add(
        "--kind",
        type=one_of("kind", "layers"),
        required=True,
        metavar="KIND",
        help="layers: what int8 does to each layer, and which of them change answers",
    )
    add(
        "--against",
        type=Path,
        metavar="FILE",
        help="instead of a new int8 file: compare this .tflite or .onnx file, by whatever tool, "
        "with the checkpoint's float network",
    )
    add(
        "--out",
        type=Path,
        metavar="FILE",
        help="a drawing (.png, .svg), or the numbers (.json), which `report` draws",
    )
    add("--force", action="store_true", help="replace an earlier file")
    photos = parser.add_argument_group("photos to compare on").add_argument
    photos("--data", metavar="DATA", help=f"{DATA_HELP} (default: those of the checkpoint)")
    photos(
        "--split",
        type=one_of("split", "test", "all", "val", "train"),
        metavar="PART",
        help="test or all (default: test for the photos that the model was trained on)",
    )
    photos(
        "--limit",
        type=whole(1),
        default=500,
        metavar="N",
        help="photos whose answers are compared (default: 500)",
    )
    photos(
        "--detailed",
        type=whole(1),
        default=64,
        metavar="N",
        help="the first of them, on which each layer is quantized alone (default: 64, fewer for "
        "a large network)",
    )
    _int8_options(parser)


def _int8_options(parser: Parser) -> None:
    int8 = parser.add_argument_group("int8, as `export` makes it").add_argument
    int8("--calibration", metavar="DATA", help="photos (default: the training part)")
    int8(
        "--calibration-count",
        type=whole(1),
        default=200,
        metavar="N",
        help="photos that set the ranges (default: 200)",
    )
    int8(
        "--rounding",
        type=one_of("rounding", "nearest", "compensated"),
        default="compensated",
        metavar="HOW",
        help="how weights become integers: compensated (default) or nearest (quick)",
    )
    int8(
        "--per-op",
        type=Path,
        metavar="JSON",
        help="times of its operations, from `bench --per-op` (default: measured here, in seconds)",
    )
    int8("--seed", type=whole(0), default=0, metavar="N", help="of their draw (default: 0)")


def explain(args: argparse.Namespace) -> Outcome:
    """Say which layers int8 hurts, and what that does to the answers.

    The integer network runs beside the float one on the same photos. For each layer the table
    shows its share of the noise, measured with this layer alone quantized: how far the lead
    of the first answer over the second moves, on the half of the photos where it is small.
    Then the answers that change; the ratio of signal to error (SQNR) of its output, in the
    whole file and alone; values cut off by its range; and how unequal the ranges of its
    weights' channels are; beside its share of the multiplications and of the file's time. The
    noisiest layers are then left in float, to see how many answers
    still change: that is the first line.

    With --against an existing file is looked into, layer by layer: signal to error, ranges and
    values cut off, where its tensors are found by name or by what they hold on the photos.

    Example: edgecnn explain run/ --kind layers --out layers.svg
    """
    from edgecnn.core import files
    from edgecnn.flows.explaining import Question, explain_against, explain_layers

    if args.against and args.out and args.out.suffix != ".json":
        raise InputError("no drawing of --against", where=args.out, fix="end it in .json")
    if args.out is not None:
        if args.out.suffix not in _SUFFIXES:
            raise InputError(
                "a drawing of unknown kind", where=args.out, fix=f"end it in {', '.join(_SUFFIXES)}"
            )
        files.refuse_existing(args.out, force=args.force)
    question = Question(
        data=args.data,
        split=args.split,
        limit=args.limit,
        detailed=args.detailed,
        calibration=args.calibration,
        calibration_count=args.calibration_count,
        rounding=args.rounding,
        seed=args.seed,
        times=args.per_op,
    )
    if args.against is not None:
        return _against(explain_against(args.model, args.against, question), args.out)
    noise = explain_layers(args.model, question)
    if args.out is not None:
        from edgecnn.flows.charting import write_layers

        write_layers(noise, args.out)
    from edgecnn.report.layers_text import sentence

    return Outcome({**schema.encode(noise), "summary": sentence(noise)}, lambda: _view(noise))


def _view(noise: Noise) -> list[Any]:
    from edgecnn.report.layers_text import about, layers_table, sentence

    notes = [f"note: {line}" for line in noise.advice]
    return [sentence(noise), layers_table(noise), about(noise), *notes]


def _against(found: AgainstFile, out: Path | None) -> Outcome:
    from edgecnn.core import files
    from edgecnn.report.layers_text import against_about, against_sentence, against_table

    if out is not None:
        files.write_text(out, schema.dumps(found))
    data = {**schema.encode(found), "summary": against_sentence(found)}
    return Outcome(
        data, lambda: [against_sentence(found), against_table(found), against_about(found)]
    )
