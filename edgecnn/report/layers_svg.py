"""The drawing of layers as SVG: within the page, in its colours, or a file of its own."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from edgecnn.core.noise import Noise
from edgecnn.report.html import Html, Value, tag, unbroken
from edgecnn.report.layers_chart import WIDTH, Bar, Chart, Dot, Line, Role, Shape, Text, draw
from edgecnn.report.layers_text import about, sentence

COLOURS: Mapping[Role, str] = {
    "grid": "#e4e1d9",
    "label": "#1d2126",
    "number": "#5c646d",
    "file": "#0b7d64",
    "alone": "#b7791f",
    "loud": "#b0302c",
    "quiet": "#9fb8b0",
}
"""On white paper."""

HEAD = 76
"""Height of the words above a drawing of its own."""

DOT = 2.8
SOFT = "#5c646d"
_LINE = 130  # letters
_SMALL_LINE = 150
_FONT = "Inter, 'Segoe UI', Roboto, 'Noto Sans', 'Liberation Sans', system-ui, sans-serif"


def layers_svg(noise: Noise) -> str:
    """Draw a quantized network's layers as a whole SVG file, white behind."""
    chart = draw(noise)
    height = chart.height + HEAD
    drawn = tag(
        "svg",
        tag("rect", width=WIDTH, height=height, fill="#ffffff"),
        [
            tag("text", line, x=16, y=22 + 19 * i, font_size=13, fill="#1d2126" if i < 2 else SOFT)
            for i, line in enumerate(heading(noise))
        ],
        tag("g", [_inked(shape) for shape in chart.shapes], transform=f"translate(0 {HEAD})"),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {height:g}",
        width=WIDTH,
        height=f"{height:g}",
        font_family=_FONT,
        font_size="11.5",
    )
    return f"{drawn}\n"


def heading(noise: Noise) -> tuple[str, str, str]:
    """Return what stands above a drawing of its own: two lines that say it, one on what."""
    first, second, *_ = [*textwrap.wrap(unbroken(sentence(noise)), _LINE, max_lines=2), ""]
    return first, second, textwrap.shorten(about(noise), _SMALL_LINE, placeholder=" [...]")


def chart_of_page(noise: Noise) -> Html:
    """Return the drawing for the page, whose style has the colours."""
    chart: Chart = draw(noise)
    return tag(
        "svg",
        [_element(shape, class_=f"{shape.role} {_kind(shape)}") for shape in chart.shapes],
        viewBox=f"0 0 {WIDTH} {chart.height:g}",
        role="img",
        aria_label=sentence(noise),
        class_="plot layers",
    )


def _kind(shape: Shape) -> str:
    return type(shape).__name__.lower()


def _inked(shape: Shape) -> Html:
    colour = COLOURS[shape.role]
    if isinstance(shape, Line):
        return _element(shape, fill="none", stroke=colour, stroke_width=1.5)
    return _element(shape, fill=colour)


def _element(shape: Shape, **look: Value) -> Html:
    match shape:
        case Bar():
            size = {"x": shape.x, "y": shape.y, "width": shape.width, "height": shape.height}
            return tag("rect", _tip(shape.tip), **size, **look)
        case Dot():
            return tag("circle", _tip(shape.tip), cx=shape.x, cy=shape.y, r=DOT, **look)
        case Line():
            path = "L".join(f"{x:g} {y:g}" for x, y in shape.points)
            return tag("path", d=f"M{path}", **look)
        case Text():
            return tag("text", shape.text, x=shape.x, y=shape.y, text_anchor=shape.anchor, **look)


def _tip(text: str) -> Html:
    return tag("title", text) if text else Html("")
