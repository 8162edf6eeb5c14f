"""``edgecnn export``: a checkpoint in, checked artefact files out."""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.cli.foreign import foreign_model, foreign_options, refuse_foreign_options
from edgecnn.cli.outcome import Outcome
from edgecnn.cli.parser import Parser, many, number, one_of, whole
from edgecnn.core import progress
from edgecnn.core.memory import peak_rss_mb

if TYPE_CHECKING:
    from edgecnn.core.artifact import Artifact, Calibration, Scheme
    from edgecnn.export import Options
    from edgecnn.flows.explaining import Look

# Flag and scheme, smallest error first.
_SCHEMES: dict[Scheme, str] = {
    "float32": "full precision (the default)",
    "float16": "weights in half precision",
    "weights8": "weights stored in 8 bits, computed in float: a quarter of the size, float's speed",
    "weights4": "those of 1x1 convolutions and dense layers in 4 bits, others in 8",
    "dynamic": "weights in 8 bits, activations in 8 while it runs, ranges unseen (TFLite)",
    "int16x8": "weights in 8 bits, activations in 16: nearly float's answers, but no fast kernels "
    "on most CPUs (TFLite)",
    "int8": "everything in 8-bit integers",
}


def export_options(parser: Parser) -> None:
    """Add the arguments of `export`."""
    add = parser.add_argument
    add(
        "checkpoint",
        type=Path,
        metavar="CKPT",
        help="a checkpoint's folder; or a .keras, .h5 or .onnx file or a SavedModel's folder",
    )
    add("--out", type=Path, required=True, metavar="DIR", help="folder of the files")
    add(
        "--format",
        type=many(one_of("format", "tflite", "onnx")),
        default=("tflite",),
        metavar="LIST",
        help="tflite (default), onnx, or tflite,onnx",
    )
    add(
        "--ort",
        action="store_true",
        help="also float32 and int8 in ONNX Runtime's own format, .ort, for its small builds on "
        "devices; laid out for any CPU, which on x86 makes the float32 file slower than its .onnx",
    )
    add("--force", action="store_true", help="replace files of the same name")
    add(
        "--max-drop",
        type=number(0, 100),
        metavar="POINTS",
        help="exit 1 when a file loses more top-1 on the validation photos; int8 climbs a ladder "
        "until it doesn't: rounding, ranges, a few operations in float, training",
    )
    schemes = parser.add_argument_group("schemes (several give several files)")
    for name, text in _SCHEMES.items():
        schemes.add_argument(f"--{name}", action="store_true", help=text)
    schemes.add_argument(
        "--mixed",
        action="store_true",
        help="8-bit integers, and float for operations that have no integer kernel",
    )
    schemes.add_argument("--all", action="store_true", help="all of these")
    _integer_options(parser)
    foreign_options(parser)
    _calibration_options(parser)


def _integer_options(parser: Parser) -> None:
    int8 = parser.add_argument_group("int8, int16x8, weights8 and weights4")
    int8.add_argument(
        "--io",
        type=one_of("type", "uint8", "int8", "float32"),
        default="uint8",
        metavar="TYPE",
        help="input and output: uint8 (a camera's bytes, default), int8 or float32",
    )
    int8.add_argument(
        "--onnx-form",
        type=one_of("form", "qdq", "integer"),
        default="qdq",
        metavar="FORM",
        help="of ONNX files: qdq (float operations between conversions, which every runtime "
        "reads; default), or integer (QLinearConv and the like: ONNX Runtime alone, integers "
        "even where its optimizations are off)",
    )
    int8.add_argument(
        "--rounding",
        type=one_of("rounding", "nearest", "compensated"),
        default="compensated",
        metavar="HOW",
        help="how weights become integers: compensated (fewest changed answers, default) or "
        "nearest (quick)",
    )
    int8.add_argument(
        "--qat",
        type=whole(1),
        default=0,
        metavar="EPOCHS",
        help="train int8 files with rounding for some epochs on the calibration photos, from the "
        "float answers, no labels needed; give it many: --calibration-count 1000 (default: no "
        "training)",
    )
    int8.add_argument(
        "--per-tensor",
        action="store_true",
        help="let all weights of a layer share one scale, for accelerators that know none a "
        "channel; costs accuracy (default: one scale a channel)",
    )
    int8.add_argument(
        "--equalize",
        action=argparse.BooleanOptionalAction,
        help="first rescale channels, each layer's against the next one's, so that their weights "
        "reach alike far: the same answers, kinder to --per-tensor (default: on with it, else off)",
    )


def _calibration_options(parser: Parser) -> None:
    add = parser.add_argument_group("calibration (of int8)").add_argument
    add("--calibration", metavar="DATA", help="photos (default: the training part)")
    add(
        "--calibration-count",
        type=_count,
        default=200,
        metavar="N",
        help="photos that set the ranges (default: 200), drawn from each class in proportion; "
        "auto tries 32, 64, 128, ... until more of them gain nothing on photos kept aside",
    )
    add(
        "--calibration-curve",
        action="store_true",
        help="show what fewer photos give, measured on photos kept aside; also as a drawing",
    )
    add("--seed", type=whole(0), default=0, metavar="N", help="of their draw (default: 0)")
    add(
        "--ranges",
        type=one_of("way to choose ranges", "minmax", "average", "percentile", "mse", "kl"),
        default="mse",
        metavar="HOW",
        help="which values 8-bit integers reach: what loses least by squared error (mse, default) "
        "or by divergence (kl), 99.99 %% of the values (percentile), the mean photo's extremes "
        "(average), or all that was seen (minmax)",
    )


def _count(text: str) -> int | str:
    """Read a number of photos, or "auto"."""
    return text if text == "auto" else whole(1)(text)


_count.__name__ = "whole number or auto"


def export(args: argparse.Namespace) -> Outcome:
    """Write a checkpoint, or another's model, as TFLite and ONNX files, checked and measured.

    Each file carries its classes, preprocessing and quantization inside. After writing it
    is parsed again, and its answers to the validation photos are compared with the
    checkpoint's: the table shows both.

    A Keras, ONNX or SavedModel classifier that was trained elsewhere is exported likewise:
    --calibration takes a folder of photos such as it will see, --normalize says what it wants
    of their pixels, and some photos kept aside tell how often the file answers as the float
    model does. Code inside such a file is not run: Lambda layers and custom classes are
    refused by name.

      edgecnn export model.keras --int8 --calibration photos/ --normalize [-1,1] --out out/

    Example: edgecnn export run/ --int8 --float32 --format tflite,onnx --out out/
    """
    from edgecnn.core import checkpoint as checkpoints
    from edgecnn.core.foreign import kind_of
    from edgecnn.flows.explaining import Look, prospects
    from edgecnn.flows.needs import needs

    started = time.perf_counter()
    schemes = _schemes(args)
    kind = kind_of(args.checkpoint)
    if kind is None:
        refuse_foreign_options(args)
        card = checkpoints.read(args.checkpoint).card  # what is wrong is said before the wait
        if "int8" in schemes and (known := prospects(card.arch)):
            progress.say(f"note: int8 of {card.arch}: {known}")
    with needs("export", "train"):
        from edgecnn.export import export as write_files
        from edgecnn.export.foreign import export_foreign
        from edgecnn.export.ladder import rungs_tried
    look = Look(measured=args.rounding == "compensated")
    options = _options(args, schemes, look)
    if kind is None:
        artifacts = write_files(checkpoints.read(args.checkpoint), args.out, options)
    else:
        artifacts = export_foreign(foreign_model(args, kind), args.out, options)
    data = {
        "artifacts": [artifact.to_row() for artifact in artifacts],
        "seconds": time.perf_counter() - started,
        "peak_rss_mb": peak_rss_mb(),
    }
    if args.max_drop is not None and "int8" in schemes:
        data["ladder"] = [dataclasses.asdict(rung) for rung in rungs_tried(args.out)]
    broken = [] if args.max_drop is None else _dropped(artifacts, args.max_drop)
    remark = f"check failed: {'; '.join(broken)}" if broken else ""
    drawing = _draw_curve(artifacts)
    return Outcome(
        data,
        lambda: _view(args, artifacts, drawing, look),
        exit_code=int(bool(broken)),
        remark=remark,
    )


def _options(args: argparse.Namespace, schemes: tuple[Scheme, ...], look: Look) -> Options:
    from edgecnn.export import Options

    return Options(
        formats=(*args.format, "ort") if args.ort else args.format,
        schemes=schemes,
        io=args.io,
        calibration=args.calibration,
        calibration_count=args.calibration_count,
        calibration_curve=args.calibration_curve,
        ranges=args.ranges,
        rounding=args.rounding,
        qat=args.qat,
        per_tensor=args.per_tensor,
        equalize=args.equalize,
        mixed=args.mixed or args.all,
        max_drop=args.max_drop,
        seed=args.seed,
        onnx_form=args.onnx_form,
        force=args.force,
        look=look,
    )


def _schemes(args: argparse.Namespace) -> tuple[Scheme, ...]:
    """Return the schemes asked for; float32 when there are none."""
    wanted = {"int8"} if args.mixed else set()
    asked = tuple(name for name in _SCHEMES if args.all or getattr(args, name) or name in wanted)
    return asked or ("float32",)


def _dropped(artifacts: list[Artifact], limit_points: float) -> list[str]:
    """Say which files lost more than the limit, or could not be judged.

    Without labels a changed answer counts as a lost one, as it does on the ladder.
    """
    lines = []
    for artifact in artifacts:
        row = artifact.to_row()
        if row["agreement_pct"] is None:
            lines.append(f"{artifact.path.name} has no photos to be judged on")
        elif row["top1"] is None or row["float_top1"] is None:
            if (changed := 100 - row["agreement_pct"]) > limit_points:
                lines.append(f"{artifact.path.name} changes {changed:.2f} % of the answers")
        elif (drop := 100 * (row["float_top1"] - row["top1"])) > limit_points:
            lines.append(f"{artifact.path.name} loses {drop:.2f} points of top-1")
    return lines


def _calibration_curve(artifacts: list[Artifact]) -> Calibration | None:
    """Return the calibration of which other counts were tried, or None."""
    notes = (artifact.metadata.calibration for artifact in artifacts)
    return next((note for note in notes if note and note.curve), None)


def _draw_curve(artifacts: list[Artifact]) -> Path | None:
    """Write the drawing of the calibration counts beside the files, where some were tried."""
    from edgecnn.core import files
    from edgecnn.report.calibration import calibration_svg

    if (curve := _calibration_curve(artifacts)) is None:
        return None
    name = artifacts[0].metadata.name
    path = artifacts[0].path.with_name(f"{name}-calibration.svg")
    files.write_text(path, calibration_svg(curve, name=name))
    return path


def _explained(look: Look) -> list[str]:
    """Say what in the network integers do badly, and which layers make the noise."""
    from edgecnn.report.layers_text import sentence

    told = [] if look.noise is None else [sentence(look.noise)]
    return [f"note: int8: {line}" for line in (*look.advice, *told)]


def _view(
    args: argparse.Namespace, artifacts: list[Artifact], drawing: Path | None, look: Look
) -> list[Any]:
    from edgecnn.report.text import calibration_table, export_table

    rows = [artifact.to_row() for artifact in artifacts]
    curve = _calibration_curve(artifacts)
    shown: list[Any] = [] if curve is None else [calibration_table(curve), f"drawing: {drawing}"]
    notes = [f"note: {row['path']}: {note}" for row in rows for note in row["warnings"]]
    notes += _explained(look)
    next_line = f"next: edgecnn verify {args.out}/* --against {args.checkpoint} --data DATA"
    if any(artifact.metadata.arch == "foreign" for artifact in artifacts):
        next_line = f"next: edgecnn predict {artifacts[-1].path} PHOTO"
    return [export_table(rows), *shown, *notes, next_line]
