from __future__ import annotations

import numpy as np
import pytest

from edgecnn.bench.roofline import Load, times_ms
from edgecnn.bench.work import Work


def test_an_operation_lasts_as_long_as_the_slower_of_computing_and_moving() -> None:
    load = Load.of(
        [
            Work(kind="spatial", macs=5_000_000, moved=1),
            Work(kind="other", macs=0, moved=1_000_000),
        ]
    )
    one = np.ones(2)
    times = times_ms(load, gops=10 * one, gb_per_s=2 * one, overhead_ms=0.5 * one)
    assert times.tolist() == pytest.approx([1.0 + 0.5, 2.0 + 0.5])


def test_integers_move_a_quarter_of_the_bytes() -> None:
    work = [Work(kind="other", macs=0, moved=8, dtype=dtype) for dtype in ("float32", "int8")]
    assert Load.of(work).bytes.tolist() == [32, 8]
