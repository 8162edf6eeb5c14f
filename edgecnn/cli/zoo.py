"""``edgecnn zoo``: which architectures, weights, devices and recipes there are; weights to use."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.cli.outcome import Outcome
from edgecnn.cli.parser import Parser, one_of, whole
from edgecnn.core.errors import InputError, unknown

if TYPE_CHECKING:
    from edgecnn.flows.pulling import Pulled


def zoo_options(parser: Parser) -> None:
    """Add the arguments of `zoo`."""
    add = parser.add_argument
    add(
        "action",
        nargs="?",
        type=one_of("action", "list", "show", "pull"),
        default="list",
        metavar="list|show|pull",
        help="all (default), one, or a pretrained classifier of photos",
    )
    add("name", nargs="?", metavar="NAME", help="what `show` shows and `pull` fetches")
    pull = parser.add_argument_group("pull")
    add = pull.add_argument
    add("--out", type=Path, metavar="CKPT", help="folder of the new checkpoint")
    add("--size", type=whole(8, 4096), metavar="PIXELS", help="side of the input")
    add("--force", action="store_true", help="replace an earlier checkpoint")


def zoo(args: argparse.Namespace) -> Outcome:
    """List architectures, their weights and what int8 costs them; pull a pretrained one.

    Parameters and multiply-accumulates are those of the network with ImageNet's 1,000
    classes at its own size. `list` and `show` need no TensorFlow. `pull` makes a checkpoint
    of a classifier with published weights, which evaluate, export and predict take as it is;
    downloads go to ~/.keras, or where EDGECNN_CACHE says.

    Example: edgecnn zoo pull efficientnet_lite0 --out lite0/
    """
    if args.action == "pull":
        return _pull(args)
    for option in ("out", "size"):
        if getattr(args, option):
            raise InputError(
                f"--{option}", where=f"zoo {args.action}", fix="it belongs to zoo pull"
            )
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


def _pull(args: argparse.Namespace) -> Outcome:
    if not args.name or not args.out:
        missing = "--out" if args.name else "name"
        raise InputError(f"no {missing}", where="zoo pull", fix="give NAME --out CKPT")
    from edgecnn.flows.pulling import pull

    pulled = pull(args.name, args.out, size=args.size, force=args.force)
    card = pulled.checkpoint.card
    row = {
        "checkpoint": str(pulled.checkpoint.path),
        "arch": card.arch,
        "alpha": card.alpha,
        "size": card.preprocessing.height,
        "params": card.params,
        "macs": card.macs,
        "weights": {
            key: getattr(pulled.weights, key)
            for key in ("source", "top1", "top1_source", "licence")
        },
        "seconds": card.seconds,
    }
    return Outcome(row, lambda: _pull_view(pulled))


def _pull_view(pulled: Pulled) -> list[Any]:
    weights, path = pulled.weights, pulled.checkpoint.path
    return [
        f"weights: top-1 {100 * weights.top1:.1f} % on ImageNet as published "
        f"({weights.top1_source}), licence {weights.licence}",
        f"checkpoint: {path}",
        f"next: edgecnn evaluate {path} --data PHOTOS",
    ]


def _list_view(catalogue: dict[str, list[dict[str, Any]]]) -> list[Any]:
    from edgecnn.report.text import zoo_table

    parts = zoo_table(catalogue["architectures"])
    for kind in ("devices", "recipes"):
        lines = [f"  {row['name']:<24} {_brief(row)}".rstrip() for row in catalogue[kind]]
        parts.append("\n".join(["", f"{kind}:", *lines]))
    return [*parts, "", "`edgecnn zoo show NAME` tells more, such as what makes int8 hard for it"]


def _brief(row: dict[str, Any]) -> str:
    return str(row.get("summary") or row.get("title") or "")


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
