from __future__ import annotations

import pytest

from edgecnn.bench.pace import MIN_READINGS, Pace


@pytest.mark.parametrize("readings", [0, MIN_READINGS - 1, MIN_READINGS])
def test_the_pace_is_told_where_there_are_enough_readings(readings: int) -> None:
    pace = Pace()
    for _ in range(readings):
        pace.read()
    assert (pace.ms is not None and pace.ms > 0) == (readings == MIN_READINGS)
