"""``edgecnn inspect``: what is in a model."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from edgecnn.cli.outcome import Outcome
from edgecnn.cli.parser import Parser, number, whole

_LONGEST_NAME = 60


def inspect_options(parser: Parser) -> None:
    """Add the arguments of `inspect`."""
    parser.add_argument(
        "model",
        metavar="MODEL|FILE|NAME",
        help="a checkpoint's folder, a file, or a name of the zoo",
    )
    add = parser.add_argument
    add("--batch", type=whole(1), default=32, metavar="N", help="for training memory (default: 32)")
    add(
        "--shape",
        type=_shape,
        action="append",
        default=[],
        metavar="INPUT=1,3,224,224",
        help="sizes that an .onnx file leaves open",
    )
    add("--out", type=Path, metavar="SVG", help="draw the network")
    add("--force", action="store_true", help="replace an earlier drawing")
    network = parser.add_argument_group("for a name of the zoo")
    add = network.add_argument
    add(
        "--size", type=whole(1, 4096), metavar="PIXELS", help="side of the input (default: its own)"
    )
    add("--alpha", type=number(0.05, 4), help="width of the network (default: 1.0)")
    add("--classes", type=whole(0), metavar="N", help="number of classes (default: 1000)")


def inspect(args: argparse.Namespace) -> Outcome:
    """Show layers, parameters, operations, memory and receptive field of a model.

    A name of the zoo is built, a checkpoint is restored, a file is read without running it.
    Memory for inference is the largest sum of tensors alive at once; for training, weights,
    gradients, the optimizer's state and all activations of a batch.

    Example: edgecnn inspect mobilenet_v2 --size 160 --alpha 0.5 --classes 5
    """
    from edgecnn.core import files
    from edgecnn.flows.inspecting import Look, inspect_model

    if args.out is not None:
        files.refuse_existing(args.out, force=args.force)
    look = Look(
        size=args.size,
        alpha=args.alpha,
        classes=args.classes,
        batch=args.batch,
        shapes=dict(args.shape),
    )
    facts = inspect_model(args.model, look)
    if args.out is not None:
        from edgecnn.report import network_svg

        files.write_text(args.out, network_svg(facts))
    return Outcome(facts, lambda: _view(facts))


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, _, sizes = text.rpartition("=")
    numbers = tuple(int(size) for size in sizes.split(","))
    if not name or min(numbers) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not INPUT=1,3,224,224")
    return name, numbers


_shape.__name__ = "shape"


def _view(facts: dict[str, Any]) -> list[Any]:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from edgecnn.report import units

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("layer", overflow="fold")
    table.add_column("operation", overflow="fold")
    for name in ("output", "params", "MACs", "weights", "bytes", "sees"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in facts["layers"]:
        table.add_row(
            escape(_short(row["name"])),
            escape(units.operation(row)),
            units.sizes(_without_batch(row, facts)),
            units.count(row["params"]),
            units.rough(row["macs"]),
            units.bytes_(row["bytes"]),
            units.bytes_(row["activation_bytes"]),
            _square(row["receptive_field"]),
        )
    return [table, "\n".join(_totals(facts)), *_about(facts)]


def _totals(facts: dict[str, Any]) -> list[str]:
    from edgecnn.report import units

    sees = units.sizes(facts["receptive_field"])
    seen = f", an output sees {sees} pixels" if sees else ""
    lines = [
        f"{units.count(facts['params'])} parameters, {units.rough(facts['macs'])} MACs, "
        f"{units.bytes_(facts['bytes'])}{seen}",
        f"inference: {units.bytes_(facts['activation_peak_bytes'])} of activations at their peak",
    ]
    if facts.get("arena_bytes") is not None:
        arena = units.bytes_(facts["arena_bytes"])
        lines[-1] += f", an arena of {arena} with LiteRT's own kernels"
    if "training" in facts:
        training = facts["training"]
        needed = units.bytes_(training["bytes"])
        lines.append(f"training: {needed} for a batch of {training['batch']}, TensorFlow apart")
    return lines


def _without_batch(row: dict[str, Any], facts: dict[str, Any]) -> list[int]:
    shape: list[int] = row["output_shape"]
    has_batch = facts["format"] != "keras" and len(shape) > 1 and shape[0] in (1, -1)
    return shape[1:] if has_batch else shape


def _square(field: list[int]) -> str:
    from edgecnn.report import units

    return str(field[0]) if len(set(field)) == 1 else units.sizes(field)


def _short(name: str) -> str:
    """Return a fused layer's last name: converters join all, each with its whole path."""
    parts = [part.split("/") for part in name.split(";")]
    short = next((p[-2] for p in parts if len(p) > 1), name)
    return short if len(short) <= _LONGEST_NAME else f"{short[: _LONGEST_NAME - 1]}…"


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
