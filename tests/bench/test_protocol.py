from __future__ import annotations

import pytest

from edgecnn.bench import Protocol, read_protocol
from edgecnn.core.errors import InputError


def test_by_default_there_are_runs_for_a_p90_and_a_warm_up_of_half_a_second() -> None:
    default = read_protocol()
    assert (default.runs, default.seconds) == (64, 3.0)
    assert (default.warmup_runs, default.warmup_seconds) == (10, 0.5)


def test_a_count_alone_is_the_only_limit() -> None:
    assert (read_protocol(runs=5).runs, read_protocol(runs=5).seconds) == (5, 0.0)


def test_a_time_alone_keeps_the_fewest_runs() -> None:
    assert (read_protocol(seconds=0.5).runs, read_protocol(seconds=0.5).seconds) == (64, 0.5)


@pytest.mark.parametrize("seconds", [60.0, 600.0, 3600.0])
def test_a_long_time_moves_the_upper_limit(seconds: float) -> None:
    protocol = read_protocol(seconds=seconds)
    assert protocol.max_seconds >= protocol.seconds == seconds
    assert protocol.timeout_seconds > protocol.max_seconds


@pytest.mark.parametrize(
    "options", [{"seconds": 0.0}, {"seconds": -1.0}, {"seconds": float("nan")}, {"runs": 0}]
)
def test_senseless_options_are_refused_in_one_line(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match=r"--(seconds|runs): give"):
        read_protocol(**options)  # type: ignore[arg-type]


def test_a_protocol_without_runs_cannot_exist() -> None:
    with pytest.raises(ValueError, match="at least one run"):
        Protocol(runs=0)
    with pytest.raises(ValueError, match="not within"):
        Protocol(seconds=90, max_seconds=60)
