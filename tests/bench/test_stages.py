from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecnn.bench import stages
from edgecnn.core.artifact import Io
from edgecnn.runtime import wiring
from edgecnn.runtime.engine import Port


def test_the_frame_looks_like_a_photo_and_is_always_the_same() -> None:
    frame = stages.frame()
    assert frame.shape == stages.FRAME_SHAPE
    assert frame.dtype == np.uint8
    assert frame.std() > 20
    assert (frame == stages.frame()).all()


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [("uint8", (1, 16, 16, 3)), ("int8", (1, 3, 16, 16)), ("float32", (1, 16, 16, 1))],
)
def test_both_stages_take_time_for_every_type_and_layout(dtype: Io, shape: tuple[int, ...]) -> None:
    ends = wiring.assumed(
        Port(shape=shape, dtype=dtype), Port(shape=(1, 4), dtype=dtype), where=Path("m")
    )
    assert stages.preprocess_ms(ends) > 0
    assert stages.postprocess_ms(ends, (1, 4)) > 0
