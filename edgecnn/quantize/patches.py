"""What a layer reads at some of its output positions: rows to multiply its weights with."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn.quantize.tflite_layer import Layer

Array: TypeAlias = npt.NDArray[Any]


def rows_of(layer: Layer, value: Array, places: Array, *, zero: int | float) -> Array:
    """Return the inputs under a layer's window at some output positions.

    Args:
        layer: A convolution, depthwise convolution or dense layer.
        value: Its input for one photo, [1, H, W, C] or [rows, d], any dtype.
        places: [P] positions: rows of the output flattened but for its channels.
        zero: What stands for zero outside.

    Returns:
        [P, taps, C], the taps in the order of the weights; the dtype of ``value``.
    """
    if layer.name == "FULLY_CONNECTED":
        return value.reshape(-1, 1, layer.weights.shape[1])[places]
    window = layer.window((value.shape[1], value.shape[2]))
    if window.kernel == window.stride == (1, 1):
        return value.reshape(-1, 1, value.shape[3])[places]
    top, left, bottom, right = window.padding
    padded = np.pad(value[0], ((top, bottom), (left, right), (0, 0)), constant_values=zero)
    reach = tuple((k - 1) * d + 1 for k, d in zip(window.kernel, window.dilation, strict=True))
    seen = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=(0, 1))
    (down, right), (row, column) = window.stride, window.dilation
    seen = seen[::down, ::right, :, ::row, ::column]
    found = seen[np.unravel_index(places, seen.shape[:2])]
    return found.reshape(len(places), value.shape[3], -1).transpose(0, 2, 1)


def choose_places(positions: int, *, photos: int, rows: int, seed: int) -> Array:
    """Draw output positions, some of each photo.

    Args:
        positions: Of the layer's output.
        photos: Number of photos.
        rows: Wanted in all.
        seed: Of the draw.

    Returns:
        [photos, P] int64, without repetition within a photo.
    """
    each = min(positions, math.ceil(rows / photos))
    if each == positions:
        return np.broadcast_to(np.arange(positions), (photos, positions))
    random = np.random.default_rng(seed)
    if positions > 8 * each:  # repetitions are rare, and do no harm
        return random.integers(0, positions, (photos, each))
    return np.argsort(random.random((photos, positions)), axis=1)[:, :each]
