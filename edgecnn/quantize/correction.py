"""Bias correction: what rounding the weights shifts on average, the bias takes back.

A layer is linear, so the mean of its output over photos is its output on the mean input:
the exact expected shift of each channel costs one small convolution, no second pass.

Source: Nagel et al. 2019, arXiv:1906.04721, section 4.2, with means observed on photos
instead of derived from batch norm, and zero padding counted.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]


def mean_taps(
    mean: Array,
    *,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    padding: tuple[int, int, int, int],
) -> Array:
    """Return the mean value under each kernel tap, over all output positions.

    Args:
        mean: [H, W, C] mean input; positions outside count as zero.
        kernel: Height and width of the kernel.
        stride: Vertical and horizontal stride.
        dilation: Vertical and horizontal dilation.
        padding: Top, left, bottom, right.

    Returns:
        [kernel height, kernel width, C], float64.
    """
    top, left, bottom, right = padding
    padded = np.pad(mean, ((top, bottom), (left, right), (0, 0)))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    rows, columns = ((padded.shape[i] - reach[i]) // stride[i] + 1 for i in (0, 1))
    taps = np.empty((*kernel, mean.shape[2]))
    for y in range(kernel[0]):
        for x in range(kernel[1]):
            first_row, first_column = y * dilation[0], x * dilation[1]
            taps[y, x] = padded[
                first_row : first_row + rows * stride[0] : stride[0],
                first_column : first_column + columns * stride[1] : stride[1],
            ].mean(axis=(0, 1))
    return taps


def same_padding(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> tuple[int, int, int, int]:
    """Return TensorFlow's "same" padding: top, left, bottom, right."""
    total = [
        max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
        for n, k, s, d in zip(size, kernel, stride, dilation, strict=True)
    ]
    return total[0] // 2, total[1] // 2, total[0] - total[0] // 2, total[1] - total[1] // 2
