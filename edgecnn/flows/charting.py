"""What quantization does to each layer, as a file: a drawing or the numbers."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from edgecnn.core import files, schema
from edgecnn.core.noise import Noise
from edgecnn.report.layers_chart import WIDTH, Bar, Dot, Line, Shape, Text, draw
from edgecnn.report.layers_svg import COLOURS, DOT, HEAD, SOFT, heading, layers_svg

_ZOOM = 2  # pixels of a picture for each unit of the drawing


def write_layers(noise: Noise, path: Path) -> None:
    """Write a drawing (.svg, .png) or the numbers (.json).

    Raises:
        InputError: the file can't be written.
    """
    match path.suffix:
        case ".json":
            files.write_text(path, schema.dumps(noise))
        case ".svg":
            files.write_text(path, layers_svg(noise))
        case _:
            files.write_bytes(path, layers_png(noise))


def layers_png(noise: Noise) -> bytes:
    """Draw a quantized network's layers as a PNG."""
    from PIL import Image, ImageDraw

    chart = draw(noise)
    sheet = Image.new("RGB", (WIDTH * _ZOOM, round((chart.height + HEAD) * _ZOOM)), "white")
    ink = _Ink(ImageDraw.Draw(sheet))
    for line, words in enumerate(heading(noise)):
        ink.words(16, 8 + 19 * line, words, "#1d2126" if line < 2 else SOFT)
    for shape in chart.shapes:
        ink.put(shape)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


class _Ink:
    """Puts shapes on a picture."""

    def __init__(self, draw_on: Any) -> None:
        self._on = draw_on

    def put(self, shape: Shape) -> None:
        colour = COLOURS[shape.role]
        match shape:
            case Bar():
                corners = (
                    _place(shape.x, shape.y),
                    _place(shape.x + shape.width, shape.y + max(shape.height, 0.5)),
                )
                self._on.rectangle(corners, fill=colour)
            case Dot():
                corners = _place(shape.x - DOT, shape.y - DOT), _place(shape.x + DOT, shape.y + DOT)
                self._on.ellipse(corners, fill=colour)
            case Line():
                points = [_place(x, y) for x, y in shape.points]
                self._on.line(points, fill=colour, width=_ZOOM)
            case Text():
                anchor = {"start": "ls", "middle": "ms", "end": "rs"}[shape.anchor]
                at = _place(shape.x, shape.y)
                self._on.text(at, shape.text, fill=colour, font=_font(11), anchor=anchor)

    def words(self, x: float, y: float, text: str, colour: str) -> None:
        # Pillow's own font has no space that doesn't break.
        words = text.replace("\u00a0", " ")
        self._on.text((x * _ZOOM, y * _ZOOM), words, fill=colour, font=_font(12))


def _place(x: float, y: float) -> tuple[float, float]:
    return x * _ZOOM, (y + HEAD) * _ZOOM


def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size * _ZOOM)
