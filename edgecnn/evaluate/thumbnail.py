"""Small pictures of what a network was shown."""

from __future__ import annotations

import base64
import io
from typing import Any

from edgecnn.core.image import Pixels

SIDE = 96
"""Longest side of a thumbnail, pixels."""


def photo(pixels: Pixels) -> Any:
    """Return [H, W, C] pixels as a pillow image of at most `SIDE` pixels a side."""
    from PIL import Image

    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    image.thumbnail((SIDE, SIDE))
    return image


def as_text(pixels: Pixels) -> str:
    """Return a thumbnail as base64 text of a JPEG."""
    buffer = io.BytesIO()
    photo(pixels).save(buffer, "JPEG", quality=80)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
