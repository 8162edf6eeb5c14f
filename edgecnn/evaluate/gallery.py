"""Contact sheets: what a model gets right, and what it gets wrong and how sure it was."""

from __future__ import annotations

import heapq
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgecnn.core import files
from edgecnn.core.runner import Runner
from edgecnn.data import Example, Reader
from edgecnn.evaluate import thumbnail
from edgecnn.evaluate.scores import stream
from edgecnn.tasks import answers

PICTURES = 48
"""Photos of one sheet."""

_COLUMNS = 6
_CELL = thumbnail.SIDE + 12
_CAPTION = 30  # two lines of pillow's own font


def write_gallery(runner: Runner, examples: Sequence[Example], folder: Path) -> list[Path]:
    """Write ``wrong.png``, the surest mistakes first, and ``right.png``, the least sure first.

    Args:
        runner: The model.
        examples: Photos, labelled with indices of the runner's classes.
        folder: Made where it is missing.

    Returns:
        The files; a sheet without photos is not written.

    Raises:
        InputError: unusable photos, or a folder that can't be written.
    """
    sheets = {"wrong": _Sheet(), "right": _Sheet()}
    for batch, outputs in stream(runner, Reader(examples, runner.preprocessing)):
        for i, answer in enumerate(answers(outputs)):
            label, sure = int(batch.labels[i]), float(outputs[i, answer])
            is_right = answer == label
            lines = [f"{100 * sure:.0f} % {runner.classes[answer]}"]
            if not is_right:
                lines.append(f"is {runner.classes[label]}")
            sheet = sheets["right" if is_right else "wrong"]
            sheet.offer(batch.pixels[i], _caption(lines), -sure if is_right else sure)
    written = []
    for name, sheet in sheets.items():
        if sheet.pictures:
            written.append(folder / f"{name}.png")
            files.write_bytes(written[-1], sheet.png())
    return written


def _caption(lines: Sequence[str]) -> str:
    """Return as much of each line as a cell takes, in letters that any pillow can draw."""
    text = "\n".join(" ".join(line.split())[:18] for line in lines)
    # Pillow's small built-in font, where it has no FreeType, knows Latin-1 alone.
    return text.encode("latin-1", "replace").decode("latin-1")


class _Sheet:
    """The pictures with the highest worth so far."""

    def __init__(self) -> None:
        self.pictures: list[tuple[float, int, Any, str]] = []
        self._seen = 0

    def offer(self, pixels: Any, text: str, worth: float) -> None:
        self._seen += 1
        if len(self.pictures) == PICTURES and worth <= self.pictures[0][0]:
            return
        # The count decides among equals: images have no order.
        entry = (worth, -self._seen, thumbnail.photo(pixels), text)
        if len(self.pictures) < PICTURES:
            heapq.heappush(self.pictures, entry)
        else:
            heapq.heapreplace(self.pictures, entry)

    def png(self) -> bytes:
        from PIL import Image, ImageDraw, ImageFont

        rows = -(-len(self.pictures) // _COLUMNS)
        size = (_COLUMNS * _CELL, rows * (_CELL + _CAPTION))
        sheet = Image.new("RGB", size, "white")
        draw, font = ImageDraw.Draw(sheet), ImageFont.load_default()
        for place, (_, _, picture, text) in enumerate(sorted(self.pictures, reverse=True)):
            left, top = place % _COLUMNS * _CELL + 6, place // _COLUMNS * (_CELL + _CAPTION) + 6
            sheet.paste(picture, (left, top))
            draw.text((left, top + thumbnail.SIDE + 2), text, fill="black", font=font)
        buffer = io.BytesIO()
        sheet.save(buffer, "PNG")
        return buffer.getvalue()
