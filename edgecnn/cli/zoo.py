"""``edgecnn zoo``: which architectures, weights, devices and recipes there are."""

from __future__ import annotations

import argparse
from typing import Any

from edgecnn.cli.outcome import Outcome
from edgecnn.cli.parser import Parser, one_of
from edgecnn.core.errors import InputError, unknown


def zoo_options(parser: Parser) -> None:
    """Add the arguments of `zoo`."""
    add = parser.add_argument
    add(
        "action",
        nargs="?",
        type=one_of("action", "list", "show"),
        default="list",
        metavar="list|show",
        help="all (default), or one",
    )
    add("name", nargs="?", metavar="NAME", help="what `show` shows")


def zoo(args: argparse.Namespace) -> Outcome:
    """List architectures, their weights and what int8 costs them; devices and recipes.

    Parameters and multiply-accumulates are those of the network with ImageNet's 1,000
    classes at its own size. Needs no TensorFlow.

    Example: edgecnn zoo show mobilenet_v2
    """
    from edgecnn.core.catalogue import read_catalogue

    catalogue = read_catalogue()
    if args.action == "list":
        if args.name:
            raise InputError(f"a name ({args.name})", where="zoo list", fix="use zoo show NAME")
        return Outcome(catalogue, lambda: _list_view(catalogue))
    if not args.name:
        raise InputError("no name", where="zoo show", fix="add one of `edgecnn zoo list`")
    entries = {row["name"]: row for kind in catalogue.values() for row in kind}
    if args.name not in entries:
        raise unknown("architecture, device or recipe", args.name, entries, where="the zoo")
    entry = entries[args.name]
    return Outcome(entry, lambda: ["\n".join(_lines(entry))])


def _list_view(catalogue: dict[str, list[dict[str, Any]]]) -> list[Any]:
    parts = []
    for kind, rows in catalogue.items():
        lines = [f"  {row['name']:<24} {_brief(row)}".rstrip() for row in rows]
        parts.append("\n".join([f"{kind}:", *lines]))
    return parts


def _brief(row: dict[str, Any]) -> str:
    if "params" not in row:
        return str(row.get("summary") or row.get("title") or "")
    ready = [w["source"] for w in row["weights"] if w["available"]]
    size = f"{row['params'] / 1e6:5.1f} M parameters, {row['macs'] / 1e6:6.0f} M MACs"
    return f"{size} at {row['size']}, weights: {', '.join(ready) or 'none'}"


def _lines(value: Any, indent: str = "") -> list[str]:
    """Lay nested facts out, one a line."""
    lines = []
    for key, item in value.items():
        if isinstance(item, dict):
            lines += [f"{indent}{key}:", *_lines(item, indent + "  ")]
        elif isinstance(item, list) and item and isinstance(item[0], dict):
            for part in item:
                lines += [f"{indent}{key}:", *_lines(part, indent + "  ")]
        else:
            text = ", ".join(map(str, item)) if isinstance(item, list) else item
            lines.append(f"{indent}{key}: {text}")
    return lines
