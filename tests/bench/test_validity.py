from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.bench import validity
from edgecnn.core.measurement import Latency

QUIET: dict[str, Any] = {
    "others_share": 0.01,
    "steal_share": 0.0,
    "waiting_share": 0.001,
    "clock_mhz": 1800.0,
    "clock_mhz_end": 1790.0,
    "throttled": [],
}


def latency(*samples_ms: float) -> Latency:
    return Latency(init=1, first=5, warmup_runs=10, samples_ms=samples_ms)


STEADY = latency(*[4.0, 4.1] * 50)


def test_a_steady_run_on_a_quiet_machine_is_valid() -> None:
    assert validity.reasons(STEADY, QUIET) == ()


def test_a_machine_that_tells_nothing_is_not_held_against_the_row() -> None:
    assert validity.reasons(STEADY, {}) == ()
    assert validity.reasons(STEADY, dict.fromkeys(QUIET)) == ()


@pytest.mark.parametrize(
    ("machine", "reason"),
    [
        ({"others_share": 0.35}, "busy machine: other processes used 35 % of the cores"),
        ({"waiting_share": 0.08}, "busy machine: waited for a core 8 % of the time"),
        ({"steal_share": 0.2}, "busy host: it took 20 % of the virtual machine's time"),
        ({"clock_mhz_end": 900.0}, "throttled: the clock fell from 1800 to 900 MHz"),
        ({"throttled": ["under-voltage"]}, "throttled: under-voltage"),
    ],
)
def test_what_disturbed_the_run_is_said_in_words(machine: dict[str, Any], reason: str) -> None:
    assert validity.reasons(STEADY, QUIET | machine) == (reason,)


def test_too_few_runs_are_counted() -> None:
    assert validity.reasons(latency(*[4.0] * 20), QUIET) == ("too few runs: 20 of 64",)


def test_runs_that_scatter_are_unsteady() -> None:
    (reason,) = validity.reasons(latency(*[4.0, 8.0, 6.0] * 40), QUIET)
    assert reason.startswith("unsteady")


def test_an_emulated_processor_has_no_time_whatever_else_there_is() -> None:
    assert validity.reasons(latency(4.0), QUIET | {"emulator": "qemu-arm", "steal_share": 0.2}) == (
        "emulated: qemu-arm plays the processor, no time says anything",
    )


@pytest.mark.parametrize("first_half", [True, False])
def test_a_machine_with_two_speeds_is_unsteady_though_hardly_any_run_scatters(
    first_half: bool,
) -> None:
    slow, fast = [4.6, 4.61] * 40, [4.0, 4.01] * 50
    around = [*fast[:50], *slow, *fast[50:]] if first_half else [*slow[:40], *fast, *slow[40:]]
    assert validity.reasons(latency(*around), QUIET) == (
        "unsteady: for a quarter of the time it was 15 % slower than for another",
    )


def test_a_disturbance_of_less_than_a_quarter_of_the_time_is_none() -> None:
    assert validity.reasons(latency(*STEADY.samples_ms, *[8.0] * 20, *[4.0, 4.1] * 50), {}) == ()


def test_one_slow_run_does_not_make_a_row_invalid() -> None:
    assert validity.reasons(latency(*[4.0] * 99, 90.0), QUIET) == ()


def test_a_run_that_gets_slower_is_found_without_any_sensor() -> None:
    slower = latency(*[4.0] * 60, *[4.6] * 40)
    assert validity.reasons(slower, {}) == ("slowed down by 15 % while it was timed",)


@given(st.lists(st.floats(0.001, 1e5), min_size=1, max_size=200))
def test_reasons_are_found_for_any_samples(samples: list[float]) -> None:
    assert all(validity.reasons(latency(*samples), {})) or len(samples) >= 64
