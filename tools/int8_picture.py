"""Draw what tools/int8_against_stock.py measured: changed answers, a line a network.

Run: python tools/int8_picture.py "NAME=rows.json"... --out picture.svg

A dot is one tool's files, in the mean over the draws: filled green ours with compensated
rounding, hollow green ours with nearest rounding, grey the stock tools'.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from edgecnn.core import files
from edgecnn.report.html import Html, tag
from edgecnn.report.scale import Scale, from_zero

_WIDTH, _LEFT, _RIGHT, _TOP, _LINE = 760, 250, 30, 64, 34
_INK, _SOFT, _GRID, _OURS, _STOCK = "#1d2126", "#5c646d", "#e4e1d9", "#0b7d64", "#9a948a"
_FONT = "Inter, 'Segoe UI', Roboto, 'Noto Sans', 'Liberation Sans', system-ui, sans-serif"
_KINDS = {
    "ours, compensated": {"fill": _OURS},
    "ours, nearest": {"fill": "#ffffff", "stroke": _OURS, "stroke_width": 1.6},
    "stock tools": {"fill": _STOCK},
}


def kind_of(name: str) -> str:
    """Return whose a file is."""
    if not name.startswith("edgecnn "):
        return "stock tools"
    return "ours, compensated" if "compensated" in name else "ours, nearest"


def shares(rows: Path) -> list[tuple[str, float]]:
    """Return each file's kind and changed answers, in percent, in the mean over the draws."""
    draws: list[dict[str, Any]] = json.loads(rows.read_text())
    kept = [name for name in draws[0] if "minmax" not in name and "trained" not in name]
    return [
        (
            kind_of(name),
            100 * statistics.mean(draw[name]["flips"] / draw[name]["n"] for draw in draws),
        )
        for name in kept
    ]


def line(name: str, found: list[tuple[str, float]], across: Scale, y: int) -> list[Html]:
    """Draw one network's dots, ours above the others."""
    ranked = sorted(found, key=lambda one: list(_KINDS).index(one[0]), reverse=True)
    return [
        tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y, y2=y, stroke=_GRID),
        tag("text", name, x=_LEFT - 16, y=y + 4, text_anchor="end", fill=_INK),
        *(tag("circle", cx=across(share), cy=y, r=5, **_KINDS[kind]) for kind, share in ranked),
    ]


def draw(networks: dict[str, list[tuple[str, float]]]) -> str:
    """Return the whole drawing as SVG."""
    most = max(share for found in networks.values() for _, share in found)
    across = from_zero([most], start=_LEFT, end=_WIDTH - _RIGHT)
    bottom = _TOP + _LINE * len(networks)
    shapes = [tag("rect", width=_WIDTH, height=bottom + 34, fill="#ffffff")]
    for place, (kind, style) in enumerate(_KINDS.items()):
        x = _LEFT + 160 * place
        shapes += [tag("circle", cx=x, cy=22, r=5, **style)]
        shapes += [tag("text", kind, x=x + 12, y=26, fill=_INK)]
    for place, (name, found) in enumerate(networks.items()):
        shapes += line(name, found, across, _TOP + _LINE * place)
    for tick in across.ticks:
        mark = tag(
            "text", f"{tick:g} %", x=across(tick), y=bottom, text_anchor="middle", fill=_SOFT
        )
        shapes += [mark]
    shapes += [tag("text", "answers changed by int8", x=_LEFT, y=bottom + 20, fill=_SOFT)]
    return str(
        tag(
            "svg",
            shapes,
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {_WIDTH} {bottom + 34}",
            width=_WIDTH,
            height=bottom + 34,
            font_family=_FONT,
            font_size=12.5,
        )
    )


def main() -> None:
    """Read the rows and write the drawing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="+", metavar="NAME=FILE")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    named = [entry.split("=", 1) for entry in args.rows]
    files.write_text(args.out, draw({name: shares(Path(file)) for name, file in named}) + "\n")


if __name__ == "__main__":
    main()
