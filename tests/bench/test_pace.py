from __future__ import annotations

import pytest

from edgecnn.bench.pace import pace_ms


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_pace_is_a_time_whatever_the_number_of_cores(threads: int) -> None:
    assert 0 < pace_ms(threads) < 60_000
