"""The time around an inference: a camera frame to input values, output values to an answer."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable

import numpy as np

from edgecnn.bench.worker import time_runs
from edgecnn.core.image import Pixels, prepare
from edgecnn.core.runner import Answer, Timing
from edgecnn.runtime.wiring import Wiring, pixel_table, to_input, to_scores

FRAME_SHAPE = (480, 640, 3)
"""Height, width, channels of the frame: a small camera's."""


def preprocess_ms(ends: Wiring) -> float:
    """Time one frame in memory to the input tensor; median, milliseconds."""
    photo, table = frame(), pixel_table(ends.input)

    def work() -> None:
        to_input(prepare(photo, ends.preprocessing), table, ends.input.layout)

    return _median(work)


def postprocess_ms(ends: Wiring, shape: tuple[int, ...]) -> float:
    """Time an output tensor of this shape to the five best classes; median, milliseconds."""
    values = np.arange(math.prod(shape)).astype(ends.output.dtype)
    timing = Timing(preprocess=0, inference=0, postprocess=0)

    def work() -> None:
        Answer(to_scores(values, ends.output), (), timing).top(5)

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
