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
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from edgecnn.report import units

    table = Table("layer", "operation", "output", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("parameters", "MACs", "size"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in facts["layers"]:
        table.add_row(
            escape(_short(row["name"])),
            escape(row["op"]),
            " x ".join(map(str, row["output_shape"])),
            units.count(row["params"]),
            units.rough(row["macs"]),
            units.bytes_(row["bytes"]),
        )
    activations = units.bytes_(facts["activation_peak_bytes"])
    totals = (
        f"{units.count(facts['params'])} parameters, {units.rough(facts['macs'])} MACs, "
        f"{units.bytes_(facts['bytes'])}, {activations} of activations at their peak"
    )
    return [table, totals, *_about(facts)]


def _short(name: str) -> str:
    """Return a fused layer's last name: converters join all, each with its whole path."""
    parts = [part.split("/") for part in name.split(";")]
    return next((p[-2] for p in parts if len(p) > 1), name)


def _about(facts: dict[str, Any]) -> list[str]:
    lines = []
    if "int8_ops" in facts:
        lines.append(f"{facts['int8_ops']} integer and {facts['float_ops']} float operations")
    for end in ("inputs", "outputs"):
        ports = facts.get(end, [])
        lines += [f"{end[:-1]}: {', '.join(f'{k} {v}' for k, v in p.items())}" for p in ports]
    if facts.get("opcodes"):
        lines.append("opcodes: " + ", ".join(f"{k} {v}" for k, v in facts["opcodes"].items()))
    metadata = facts.get("metadata")
    if metadata:
        lines.append(f"{metadata['name']}: {metadata['arch']}, {', '.join(metadata['classes'])}")
    return lines
