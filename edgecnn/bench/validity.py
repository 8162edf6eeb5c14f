"""Whether a row's latency can be trusted, and if not, why: in words for people."""

from __future__ import annotations

import statistics
from typing import Any

from edgecnn.core.measurement import MIN_RUNS_P90, Latency

# Share of all cores; an idle desktop takes 1 to 5 %.
MAX_OTHERS_SHARE = 0.10
# Share of the time; 2 % is already more than most differences that are looked for.
MAX_WAITING_SHARE = 0.02
MAX_STEAL_SHARE = 0.02
# Quiet machines give 0.01 to 0.03 (median absolute deviation over median).
MAX_SPREAD = 0.10
# MLPerf Mobile asks for 5 % between runs; a clock that falls by a tenth is beyond that.
MIN_CLOCK_RATIO = 0.90
MAX_DRIFT = 1.10
# The upper quartile over the lower of the medians of up to 12 parts of the time.
MAX_UNEVENNESS = 1.05
_PARTS = 12
_RUNS_A_PART = 16


def reasons(latency: Latency, machine: dict[str, Any]) -> tuple[str, ...]:
    """Return why the latency is not to be trusted; empty when it is.

    Args:
        latency: The samples, in the order they were taken.
        machine: What the worker saw of the machine; what it couldn't see is None or absent.
    """
    if machine.get("emulator"):
        return (f"emulated: {machine['emulator']} plays the processor, no time says anything",)
    return (
        *_of_device(machine),
        *_of_samples(latency),
        *_of_load(machine),
        *_of_clock(latency, machine),
    )


def _of_device(machine: dict[str, Any]) -> list[str]:
    if not str(machine.get("gpu_kind") or "").lower().startswith("cpu"):
        return []
    return [f"no GPU: {machine.get('gpu')} computes on the CPU, its times say nothing of a GPU"]


def _of_samples(latency: Latency) -> list[str]:
    found = []
    if latency.runs < MIN_RUNS_P90:
        found.append(f"too few runs: {latency.runs} of {MIN_RUNS_P90}")
    if latency.spread > MAX_SPREAD:
        found.append(
            f"unsteady: half of the runs are {_percent(latency.spread)} or more off the median"
        )
    return found


def _of_load(machine: dict[str, Any]) -> list[str]:
    found = []
    if (share := machine.get("others_share") or 0) > MAX_OTHERS_SHARE:
        found.append(f"busy machine: other processes used {_percent(share)} of the cores")
    if (share := machine.get("waiting_share") or 0) > MAX_WAITING_SHARE:
        found.append(f"busy machine: waited for a core {_percent(share)} of the time")
    if (share := machine.get("steal_share") or 0) > MAX_STEAL_SHARE:
        found.append(f"busy host: it took {_percent(share)} of the virtual machine's time")
    return found


def _of_clock(latency: Latency, machine: dict[str, Any]) -> list[str]:
    found = [f"throttled: {name}" for name in machine.get("throttled") or ()]
    before, after = machine.get("clock_mhz"), machine.get("clock_mhz_end")
    if before and after and after < MIN_CLOCK_RATIO * before:
        found.append(f"throttled: the clock fell from {before:.0f} to {after:.0f} MHz")
    if (drift := _drift(latency)) > MAX_DRIFT:
        found.append(f"slowed down by {_percent(drift - 1)} while it was timed")
    elif (uneven := _unevenness(latency)) > MAX_UNEVENNESS and latency.spread <= MAX_SPREAD:
        found.append(
            f"unsteady: for a quarter of the time it was {_percent(uneven - 1)} slower than for "
            "another"
        )
    return found


def _unevenness(latency: Latency) -> float:
    """Tell a machine with two speeds: each lasts for a while, so that single runs don't scatter."""
    parts = min(_PARTS, latency.runs // _RUNS_A_PART)
    if parts < 4:
        return 1.0
    length = latency.runs // parts
    medians = sorted(
        statistics.median(latency.samples_ms[part * length : (part + 1) * length])
        for part in range(parts)
    )
    return medians[-1 - parts // 4] / medians[parts // 4]


def _drift(latency: Latency) -> float:
    """Return the median of the last quarter of the runs over that of the first."""
    if latency.runs < MIN_RUNS_P90:
        return 1.0
    quarter = latency.runs // 4
    first, last = sorted(latency.samples_ms[:quarter]), sorted(latency.samples_ms[-quarter:])
    return last[quarter // 2] / first[quarter // 2]


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
