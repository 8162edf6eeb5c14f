"""``edgecnn predict``: photos in, labelled answers out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from edgecnn.cli.evaluate import add_runtime
from edgecnn.cli.outcome import Outcome
from edgecnn.cli.parser import Parser, whole


def predict_options(parser: Parser) -> None:
    """Add the arguments of `predict`."""
    add = parser.add_argument
    add("model", type=Path, metavar="FILE", help="a .tflite, .onnx or .ort file, or a checkpoint")
    add("images", type=Path, nargs="+", metavar="IMAGE", help="photos")
    add("--top", type=whole(1), default=5, metavar="N", help="classes to show (default: 5)")
    add("--out", type=Path, metavar="PNG", help="draw the photos and their answers")
    add("--force", action="store_true", help="replace an earlier picture")
    add_runtime(parser)


def predict(args: argparse.Namespace) -> Outcome:
    """Name what is on photos, whatever the file's number types.

    The file itself says how a photo is prepared and what its outputs mean. A foreign file
    without that gives its raw outputs; --labels FILE, one name a line, names them.

    Example: edgecnn predict out/run-int8.tflite cat.jpg
    """
    from edgecnn.flows.opening import open_model
    from edgecnn.flows.predicting import predict_image

    with open_model(
        args.model, runtime=args.runtime, threads=args.threads, labels=args.labels
    ) as model:
        predictions = [predict_image(model, path, count=args.top) for path in args.images]
    if args.out is not None:
        from edgecnn.flows.picturing import write_picture

        write_picture(predictions, args.out, force=args.force)
    return Outcome({"predictions": predictions}, lambda: [_text(row) for row in predictions])


def _text(row: dict[str, Any]) -> str:
    lines = [
        f"  {best['probability']:7.2%}  {best['class']}"
        if 0 <= best["probability"] <= 1
        else f"  {best['probability']:9.4g}  {best['class']}"
        for best in row["top"]
    ]
    milliseconds = row["timing_ms"]["inference"]
    return "\n".join([f"{row['image']}  ({milliseconds:.1f} ms)", *lines])
