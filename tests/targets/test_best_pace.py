from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.core.measurement import Latency, Measurement
from edgecnn.targets.best_pace import judged
from tests.report.samples import measurement

NOON = datetime.datetime(2026, 5, 1, 12, tzinfo=datetime.UTC)


def row(pace_ms: Any, *, hours: float = 0, threads: int = 1, **machine: Any) -> Measurement:
    return dataclasses.replace(
        measurement(),
        threads=threads,
        machine={"cpu": "some", "pace_ms": pace_ms, **machine},
        when=(NOON + datetime.timedelta(hours=hours)).isoformat(),
        valid=True,
        invalid_reasons=(),
    )


def test_a_machine_slower_than_at_its_best_today_says_so(tmp_path: Path) -> None:
    assert judged(row(1.0), folder=tmp_path).valid
    slow = judged(row(1.21, hours=1), folder=tmp_path)
    assert slow.invalid_reasons == (
        "slow machine: fixed arithmetic takes 21 % longer than at its best today",
    )
    assert not slow.valid


def test_a_pace_within_five_percent_is_the_same(tmp_path: Path) -> None:
    judged(row(1.0), folder=tmp_path)
    assert judged(row(1.04), folder=tmp_path).valid


def test_a_faster_row_is_what_later_ones_are_held_against(tmp_path: Path) -> None:
    judged(row(1.0), folder=tmp_path)
    assert judged(row(0.8), folder=tmp_path).valid
    assert not judged(row(1.0), folder=tmp_path).valid


def test_what_was_longer_than_a_day_ago_is_forgotten(tmp_path: Path) -> None:
    judged(row(1.0), folder=tmp_path)
    assert judged(row(1.5, hours=25), folder=tmp_path).valid
    assert judged(row(1.5, hours=26), folder=tmp_path).valid


def test_a_clock_that_was_set_back_forgets_too(tmp_path: Path) -> None:
    judged(row(1.0), folder=tmp_path)
    assert judged(row(1.5, hours=-3), folder=tmp_path).valid


@pytest.mark.parametrize("other", [{"threads": 2}, {"cpu": "another"}, {"affinity": [1]}])
def test_other_threads_and_machines_are_judged_apart(other: Any, tmp_path: Path) -> None:
    judged(row(1.0), folder=tmp_path)
    assert judged(row(1.5, **other), folder=tmp_path).valid


@pytest.mark.parametrize("pace", [None, "fast", float("nan"), 0, -1.0])
def test_a_row_that_tells_no_pace_stays_as_it_is(pace: Any, tmp_path: Path) -> None:
    judged(row(1.0), folder=tmp_path)
    assert judged(row(pace), folder=tmp_path).valid


@pytest.mark.parametrize("content", ["", "[]", '{"schema": "edgecnn/pace/9"}', "\0"])
def test_a_damaged_memory_is_none(content: str, tmp_path: Path) -> None:
    judged(row(1.0), folder=tmp_path)
    (kept,) = tmp_path.iterdir()
    kept.write_text(content)
    assert judged(row(1.5), folder=tmp_path).valid
    assert not judged(row(2.0), folder=tmp_path).valid


def test_a_cache_that_cannot_be_written_costs_no_row(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert judged(row(1.0), folder=tmp_path / "file").valid


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=10))
def test_only_the_fastest_so_far_decides(tmp_path_factory: Any, paces: list[float]) -> None:
    folder = tmp_path_factory.mktemp("pace")
    for index, pace in enumerate(paces):
        best = min(paces[: index + 1])
        assert judged(row(pace), folder=folder).valid == (pace <= 1.05 * best)


def test_other_doubts_stay(tmp_path: Path) -> None:
    judged(row(1.0), folder=tmp_path)
    doubtful = dataclasses.replace(row(2.0), valid=False, invalid_reasons=("busy machine: x",))
    assert len(judged(doubtful, folder=tmp_path).invalid_reasons) == 2
    assert isinstance(doubtful.latency_ms, Latency)
