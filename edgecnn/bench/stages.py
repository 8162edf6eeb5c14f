"""The time around an inference: a camera frame to input values, output values to an answer."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecnn.bench.worker import time_runs
from edgecnn.core.artifact import FileInput, FileOutput
from edgecnn.core.image import Pixels, Preprocessing, prepare
from edgecnn.core.runner import Answer, Timing

FRAME_SHAPE = (480, 640, 3)
"""Height, width, channels of the frame: a small camera's."""


def preprocess_ms(how: Preprocessing, source: FileInput) -> float:
    """Time one frame in memory to input values; median, milliseconds."""
    photo = frame()

    def work() -> None:
        values = prepare(photo, how)
        if source.dtype != "uint8":
            (values * np.float32(source.scale) + np.float32(source.offset)).astype(source.dtype)

    return _median(work)


def postprocess_ms(shape: tuple[int, ...], dtype: str, target: FileOutput) -> float:
    """Time output values to the five best classes; median, milliseconds.

    Args:
        shape: Of the output tensor.
        dtype: Of the output tensor.
        target: How its values become scores.
    """
    values = np.arange(math.prod(shape)).astype(dtype)

    def work() -> None:
        scores: npt.NDArray[Any] = (
            values.astype(np.float32) - np.float32(target.zero_point)
        ) * np.float32(target.scale)
        Answer(scores, (), Timing(preprocess=0, inference=0, postprocess=0)).top(5)

    return _median(work)


def frame() -> Pixels:
    """Make something like a photo: smooth in both directions, with a little noise."""
    height, width, channels = FRAME_SHAPE
    y, x, c = np.ogrid[:height, :width, :channels]
    noise = (x * 7919 + y * 104729 + c * 31) % 29
    photo: Pixels = (113 + 50 * np.sin(x / 60 + c) + 50 * np.cos(y / 40) + noise).astype(np.uint8)
    return photo


def _median(work: Callable[[], object]) -> float:
    time_runs(work, seconds=0, runs=3, max_seconds=0.5)
    return statistics.median(time_runs(work, seconds=0.1, runs=10, max_seconds=1))
