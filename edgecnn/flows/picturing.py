"""A picture of answers: each photo with its best classes as bars beside it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgecnn.core import files
from edgecnn.core import image as images

_PHOTO = 240  # pixels, the longer side
_BARS = 280
_ROW = 34
_MARGIN = 16
_INK, _SOFT, _GREEN, _TRACK = "#1c2421", "#5d6a65", "#0f7b5f", "#e6ece9"


def write_picture(predictions: Sequence[dict[str, Any]], path: Path, *, force: bool) -> None:
    """Write one PNG with a row a photo.

    Args:
        predictions: Rows of `edgecnn.flows.predicting.predict_image`.
        path: The PNG.
        force: Replace an earlier file.

    Raises:
        InputError: there is a file already, or it can't be written.
    """
    from PIL import Image

    files.refuse_existing(path, force=force)
    rows = [_row(prediction) for prediction in predictions]
    sheet = Image.new("RGB", (rows[0].width, sum(row.height for row in rows)), "white")
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    files.write_bytes(path, buffer.getvalue())


def _row(prediction: dict[str, Any]) -> Any:
    from PIL import Image, ImageDraw, ImageFont

    photo = images.decode(Path(prediction["image"]))
    photo.thumbnail((_PHOTO, _PHOTO))
    best = prediction["top"]
    height = max(photo.height, len(best) * _ROW) + 2 * _MARGIN
    row = Image.new("RGB", (_PHOTO + _BARS + 3 * _MARGIN, height), "white")
    row.paste(photo, (_MARGIN + (_PHOTO - photo.width) // 2, (height - photo.height) // 2))
    draw, font = ImageDraw.Draw(row), ImageFont.load_default(13)
    left, top = _PHOTO + 2 * _MARGIN, (height - len(best) * _ROW) // 2
    largest = max((abs(answer["probability"]) for answer in best), default=1.0) or 1.0
    for place, answer in enumerate(best):
        y, value = top + place * _ROW, answer["probability"]
        is_share = 0 <= value <= 1
        share = value if is_share else max(value, 0.0) / largest
        draw.text((left, y), _short(answer["class"]), fill=_INK, font=font)
        text = f"{100 * value:.1f} %" if is_share else f"{value:.4g}"
        draw.text((left + _BARS, y), text, fill=_SOFT, font=font, anchor="ra")
        track = (left, y + 19, left + _BARS, y + 24)
        draw.rectangle(track, fill=_TRACK)
        draw.rectangle((*track[:2], left + round(_BARS * share), track[3]), fill=_GREEN)
    return row


def _short(name: str) -> str:
    text = " ".join(name.split())
    return text if len(text) <= 32 else f"{text[:31]}…"
