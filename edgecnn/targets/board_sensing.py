"""What a board's sensors and counters say while something runs there."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path
from typing import Any

from edgecnn.bench.machine import clock_mhz, number, pi_throttled, read

PI_FIRMWARE = "/sys/devices/platform/soc/soc:firmware/get_throttled"


def prefer_to_kill(pid: int) -> None:
    """When memory runs out the kernel shall end the benchmark, and not the board's services."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text("500", encoding="ascii")


def oom_kills() -> int:
    """Return how many processes the kernel has killed for memory since it started."""
    told = read("/proc/vmstat").partition("oom_kill ")[2].split()
    return int(told[0]) if told else 0


def keep_sampling(samples: list[dict[str, Any]], began: float, stop: threading.Event) -> None:
    """Add a sample each second."""
    while not stop.wait(1.0):
        samples.append(sample(time.monotonic() - began))


def sample(at: float) -> dict[str, Any]:
    """Return what the sensors say: seconds since the start, MHz, degrees Celsius, the bits."""
    return {
        "s": round(at, 2),
        "clock_mhz": clock_mhz(),
        "temperature_c": number("/sys/class/thermal/thermal_zone0/temp", 1e3),
        "throttled": throttle_bits(),
    }


def throttle_bits() -> int:
    """Return the Raspberry Pi firmware's bits; from a file where there is one: no new process."""
    told = read(PI_FIRMWARE).strip()
    try:
        return int(told, 16) if told else pi_throttled()
    except ValueError:
        return 0
