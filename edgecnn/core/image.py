"""A photo to the pixels a network reads: one code for training, calibration and the board.

Pixels stay what a camera gives, uint8 0..255: each network owns its normalization.
Files are decoded and resized by pillow; arrays (camera frames) by numpy alone, with
pillow's own filters in its own integer arithmetic, so that both agree to the last bit.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn.core.errors import InputError

Pixels: TypeAlias = npt.NDArray[np.uint8]
"""[H, W, C], uint8, RGB (C = 3) or grey (C = 1)."""

Resize: TypeAlias = Literal["cover", "squash", "letterbox"]
Filter: TypeAlias = Literal["bilinear", "bicubic"]

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif"})
"""File names that count as photos, in lower case."""

# Pillow's own limit; as RGB these take 0.5 GB.
MAX_PIXELS = 178_956_970
# Pillow's weights are whole multiples of 2**-22 (PRECISION_BITS in its Resample.c).
_BITS = 22
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How a photo becomes a network's pixels.

    Attributes:
        height: Pixels of the result.
        width: Pixels of the result.
        channels: 3 (RGB) or 1 (grey).
        resize: cover (fill, crop the centre), squash (ignore the aspect ratio) or
            letterbox (fit, pad with mid-grey).
        filter: Interpolation; both average when they shrink, as pillow does.
        crop: Central share of the side that is kept, 0..1; 1 keeps all.
    """

    height: int
    width: int
    channels: int = 3
    resize: Resize = "cover"
    filter: Filter = "bilinear"
    crop: float = 1.0

    def __post_init__(self) -> None:
        if not (0 < self.height <= 4096 and 0 < self.width <= 4096):
            raise ValueError(f"size {self.height}x{self.width} is not within 1..4096")
        if self.channels not in (1, 3):
            raise ValueError(f"{self.channels} channels: 1 or 3 are known")
        if not 0 < self.crop <= 1:
            raise ValueError(f"crop {self.crop} is not within 0..1")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels of the result."""
        return self.height, self.width, self.channels


Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom in source pixels."""


def load(path: Path, how: Preprocessing) -> Pixels:
    """Decode and resize a photo.

    Raises:
        InputError: not a photo, damaged, or larger than `MAX_PIXELS`.
    """
    return prepare(decode(path, channels=how.channels), how)


def decode(path: Path, *, channels: int = 3) -> Any:
    """Open a photo as a pillow image, upright, in RGB or grey.

    EXIF orientation is applied; alpha is laid over white; 16-bit grey is scaled, not
    clipped; of an animation the first frame counts. The content decides the format,
    not the file's name.

    Raises:
        InputError: not a photo, damaged, or larger than `MAX_PIXELS`.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path, formats=_FORMATS) as image:
            _check_size(image.width * image.height, path)
            image.load()
            return _convert(ImageOps.exif_transpose(image), "L" if channels == 1 else "RGB")
    except InputError:
        raise
    except Image.DecompressionBombError:
        _check_size(MAX_PIXELS + 1, path)
    except UnidentifiedImageError:
        raise InputError(
            "no photo of a known format", where=path, fix="use JPEG, PNG, BMP, WebP or GIF"
        ) from None
    # pillow's decoders raise many kinds on damaged files; all mean the same to the user.
    except Exception as error:
        raise InputError(f"an unreadable photo ({error})", where=path, fix="remove it") from error


def _check_size(pixels: int, path: Path) -> None:
    if pixels > MAX_PIXELS:
        raise InputError(
            f"a photo of more than {MAX_PIXELS // 1_000_000} megapixels",
            where=path,
            fix="remove it or make it smaller",
        )


def as_photo(image: Pixels, *, channels: int = 3) -> Any:
    """Return an array as a pillow image in RGB or grey: many are resized faster by pillow.

    Raises:
        InputError: an array of another shape or dtype; see `prepare`.
    """
    from PIL import Image

    image = _checked(image, channels)
    return Image.fromarray(image[:, :, 0] if channels == 1 else image)


def _convert(image: Any, mode: str) -> Any:
    from PIL import Image

    if image.mode.startswith("I"):  # 16-bit grey: pillow's own conversion would clip at 255
        data = np.asarray(image).astype(np.float64)
        image = Image.fromarray(np.rint(data / 65535 * 255).clip(0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return image.convert(mode)


def prepare(image: Any, how: Preprocessing) -> Pixels:
    """Resize a pillow image or an array to a network's pixels.

    Args:
        image: A pillow image in RGB or grey, or an array [H, W], [H, W, 1] or [H, W, 3],
            uint8, RGB. An array is resized without pillow.
        how: The network's preprocessing.

    Returns:
        [how.height, how.width, how.channels], uint8.

    Raises:
        InputError: an array of another shape or dtype.
    """
    if isinstance(image, np.ndarray):
        image = _checked(image, how.channels)
        height, width = image.shape[:2]
    else:
        width, height = image.size
    box, inner = _geometry(width, height, how)
    if isinstance(image, np.ndarray):
        pixels = _resize_array(image, box, inner, how.filter)
    else:
        pixels = _resize_pillow(image, box, inner, how.filter)
    return _pad(pixels.reshape(inner[1], inner[0], how.channels), how)


def _checked(image: npt.NDArray[Any], channels: int) -> Pixels:
    if image.ndim == 2:
        image = image[:, :, None]
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3) or not image.size:
        raise InputError(
            f"an array of shape {image.shape} and type {image.dtype}",
            where="the image",
            fix="pass [height, width, 3] uint8 RGB",
        )
    if image.shape[2] == channels:
        return image
    if channels == 3:
        return np.repeat(image, 3, axis=2)
    # The weights of ITU-R BT.601, as pillow's conversion to grey has them.
    grey = image.astype(np.uint32) @ np.array([19595, 38470, 7471], np.uint32)
    return ((grey + 0x8000) >> 16).astype(np.uint8)[:, :, None]


def _geometry(width: int, height: int, how: Preprocessing) -> tuple[Box, tuple[int, int]]:
    """Return the part of the source that is read and the (width, height) it becomes."""
    if how.resize == "letterbox":
        scale = min(how.width / width, how.height / height)
        inner = max(1, round(width * scale)), max(1, round(height * scale))
        return (0.0, 0.0, float(width), float(height)), inner
    if how.resize == "squash":
        kept_width, kept_height = width * how.crop, height * how.crop
    else:
        scale = min(width / how.width, height / how.height) * how.crop
        kept_width, kept_height = how.width * scale, how.height * scale
    # Rounding must not put the box outside of the image by the last bit: pillow refuses that.
    left, top = max((width - kept_width) / 2, 0.0), max((height - kept_height) / 2, 0.0)
    right, bottom = min(left + kept_width, width), min(top + kept_height, height)
    return (left, top, right, bottom), (how.width, how.height)


def _pad(pixels: Pixels, how: Preprocessing) -> Pixels:
    height, width = pixels.shape[:2]
    if (height, width) == (how.height, how.width):
        return pixels
    canvas = np.full(how.shape, 127, np.uint8)
    top, left = (how.height - height) // 2, (how.width - width) // 2
    canvas[top : top + height, left : left + width] = pixels
    return canvas


def _needed(start: float, stop: float, source: int, target: int) -> tuple[int, int]:
    """Return the source pixels that any kernel over start..stop may reach."""
    margin = 2 * max((stop - start) / target, 1.0) + 1
    return max(math.floor(start - margin), 0), min(math.ceil(stop + margin), source)


def _resize_pillow(image: Any, box: Box, size: tuple[int, int], how: Filter) -> Pixels:
    """Resize the height, then the width.

    Two calls: in one, pillow chooses the order, differently from version to version.
    """
    from PIL import Image

    resample = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}[how]
    left, top, right, bottom = box
    first, last = _needed(left, right, image.width, size[0])
    image = image.crop((first, 0, last, image.height))
    image = image.resize((last - first, size[1]), resample, box=(0, top, last - first, bottom))
    image = image.resize(size, resample, box=(left - first, 0, right - first, size[1]))
    return np.asarray(image)


def _resize_array(image: Pixels, box: Box, size: tuple[int, int], how: Filter) -> Pixels:
    left, top, right, bottom = box
    first, last = _needed(left, right, image.shape[1], size[0])
    image = _resize_rows(image[:, first:last], top, bottom, size[1], how)
    turned = image.transpose(1, 0, 2)
    return _resize_rows(turned, left - first, right - first, size[0], how).transpose(1, 0, 2)


def _resize_rows(image: Pixels, start: float, stop: float, target: int, how: Filter) -> Pixels:
    """Resize [H, W, C] to [target, W, C] in pillow's integer arithmetic."""
    image = np.ascontiguousarray(image)
    total = np.full((target, *image.shape[1:]), 1 << (_BITS - 1), np.int32)  # half, for rounding
    for rows, weights in zip(*_weights(len(image), start, stop, target, how), strict=True):
        tap = image[rows].astype(np.int32)
        tap *= weights[:, None, None]
        total += tap
    total >>= _BITS
    return total.clip(0, 255, out=total).astype(np.uint8)


@functools.lru_cache(maxsize=16)
def _weights(
    source: int, start: float, stop: float, target: int, how: Filter
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Return which source pixels make each target pixel, and their weights.

    Both are [taps, target]. Source: precompute_coeffs of pillow's Resample.c; the kernel
    widens by the scale when the image shrinks, so that nothing is skipped.
    """
    begin, end = np.float32(start), np.float32(stop)  # as pillow passes its box
    scale = float(end - begin) / target
    stretch = max(scale, 1.0)
    support = (1.0 if how == "bilinear" else 2.0) * stretch
    centre = float(begin) + (np.arange(target) + 0.5) * scale
    first = np.maximum((centre - support + 0.5).astype(np.int64), 0)
    last = np.minimum((centre + support + 0.5).astype(np.int64), source)
    at = first + np.arange((last - first).max())[:, None]
    distance = np.abs((at - centre + 0.5) * (1.0 / stretch))
    weights = _triangle(distance) if how == "bilinear" else _cubic(distance)
    weights = np.where(at < last, weights, 0.0)
    weights /= np.cumsum(weights, axis=0)[-1]  # summed one by one, as pillow does
    whole = np.trunc(weights * (1 << _BITS) + np.copysign(0.5, weights)).astype(np.int32)
    return np.minimum(at, source - 1), whole


def _triangle(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.maximum(1.0 - x, 0.0)


def _cubic(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Keys' cubic convolution with a = -0.5 (Keys 1981, equation 4 generalized)."""
    a = -0.5
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))
