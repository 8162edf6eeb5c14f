"""Runs on a board that was hot or busy: what its sensors said, and whether to try again."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edgecnn.bench.machine import PI_THROTTLE_BITS
from edgecnn.core.measurement import Measurement

# How reasons of `bench.validity` begin that may be gone in a minute.
_PASSING = ("throttled", "slowed down", "busy", "unsteady")
# Degrees above those before the first run: cool again.
_COOL_C = 3.0
_POLL_SECONDS = 2.0
# In a row's machine: enough for a picture of the run.
_MOST_SAMPLES = 120


@dataclasses.dataclass(frozen=True, kw_only=True)
class Patience:
    """With a board that is hot or busy.

    Attributes:
        tries: Runs at most; the last one counts whatever it saw.
        seconds: Longest wait between two.
        pause: Waits some seconds.
    """

    tries: int = 3
    seconds: float = 120.0
    pause: Callable[[float], None] = time.sleep


def judged(row: Measurement, samples: Sequence[Mapping[str, Any]]) -> Measurement:
    """Return a row with what was sampled through its run, and the doubts that follow from it.

    The worker looks before and after; a board that was slowed down in between, after it had
    been before, shows it only here.
    """
    seen = [name for bit, name in enumerate(PI_THROTTLE_BITS) if _ever(samples, bit)]
    doubts = [f"throttled: {name}" for name in seen]
    reasons = (*row.invalid_reasons, *(d for d in doubts if d not in row.invalid_reasons))
    step = -(-len(samples) // _MOST_SAMPLES) or 1
    machine = {**row.machine, "throttled": _joined(row.machine.get("throttled"), seen),
               "sampled": [dict(sample) for sample in samples[::step]]}  # fmt: skip
    return dataclasses.replace(row, machine=machine, valid=not reasons, invalid_reasons=reasons)


def _ever(samples: Sequence[Mapping[str, Any]], bit: int) -> bool:
    return any(int(sample.get("throttled") or 0) >> bit & 1 for sample in samples)


def _joined(first: Any, second: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([*(first or ()), *second]))


def passing(row: Measurement) -> str:
    """Return the first reason that another run may not have; empty where there's none."""
    return next((r for r in row.invalid_reasons if r.startswith(_PASSING)), "")


def cool(
    sense: Callable[[], Mapping[str, Any]], before: Mapping[str, Any], patience: Patience
) -> None:
    """Wait until a board is as cool as it was, and not throttled, or patience ends.

    Args:
        sense: Asks its sensors; see `board_agent.sample`.
        before: What they said before the first run.
        patience: How long.
    """
    waited = 0.0
    while waited < patience.seconds:
        patience.pause(_POLL_SECONDS)
        waited += _POLL_SECONDS
        now = sense()
        slowed = int(now.get("throttled") or 0) & (1 << len(PI_THROTTLE_BITS)) - 1
        if not slowed and _cooled(now.get("temperature_c"), before.get("temperature_c")):
            return


def _cooled(now: float | None, before: float | None) -> bool:
    return now is None or before is None or now <= before + _COOL_C
