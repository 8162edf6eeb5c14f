"""``edgecnn inspect``: what is in a model."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from edgecnn.cli.outcome import Outcome
from edgecnn.cli.parser import Parser


def inspect_options(parser: Parser) -> None:
    """Add the arguments of `inspect`."""
    parser.add_argument(
        "model", type=Path, metavar="MODEL|FILE", help="a checkpoint's folder, or a file"
    )


def inspect(args: argparse.Namespace) -> Outcome:
    """Show layers, parameters, operations, memory and quantization of a model.

    Reading a .tflite file needs no runtime. The peak of the activations is planned as the
    runtime would; opcode versions tell whether an older runtime can read the file.

    Example: edgecnn inspect out/run-int8.tflite
    """
    from edgecnn.flows.inspecting import inspect_model

    facts = inspect_model(args.model)
    return Outcome(facts, lambda: _view(facts))


def _view(facts: dict[str, Any]) -> list[Any]:
    from edgecnn.report import text

    return [text.inspection_table(facts)]
