"""What a process sees of itself and of its machine: memory, clock, heat, energy, other work.

Like `worker.py`, which takes it along, this needs Python 3.9 and numpy alone. What a machine
doesn't tell is null, never guessed.
"""

from __future__ import annotations

import math
import os
import platform
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np

Json = dict[str, Any]


class NoSuchCore(Exception):
    """The process can't be kept on these cores."""


# ------------------------------------------------------------------- memory


def memory_mb() -> dict[str, float]:
    """Return the process's own memory figures, MB (1e6 bytes), under the kernel's names."""
    lines = (line.split() for line in read("/proc/self/status").splitlines())
    return {
        words[0].rstrip(":"): int(words[1]) * 1024 / 1e6
        for words in lines
        if len(words) == 3 and words[2] == "kB"
    }


def rename_memory(status: dict[str, float]) -> dict[str, float | None]:
    """Name what counts for a model.

    The peak is VmHWM: ru_maxrss would begin with the size of the process that started this one.
    """
    return {
        "rss_anon": status.get("RssAnon"),
        "rss_file": status.get("RssFile"),
        "rss_peak": status.get("VmHWM"),
    }


# ------------------------------------------------------------------ machine

# Part numbers of ARM's cores, from the MIDR_EL1 entry of each core's reference manual.
ARM_PARTS = {
    "0xd03": "Cortex-A53",
    "0xd04": "Cortex-A35",
    "0xd05": "Cortex-A55",
    "0xd08": "Cortex-A72",
    "0xd0b": "Cortex-A76",
}
# Bits of the Raspberry Pi firmware's get_throttled; 16 bits higher: happened since it started.
PI_THROTTLE_BITS = ("under-voltage", "clock capped", "throttled", "soft temperature limit")


def machine_facts() -> Json:
    """Return what doesn't change while a file is timed."""
    cpuinfo = dict(
        [part.strip() for part in line.split(":", 1)]
        for line in reversed(read("/proc/cpuinfo").splitlines())
        if ":" in line
    )
    part = cpuinfo.get("CPU part", "")
    system = read("/etc/os-release").partition('PRETTY_NAME="')[2].partition('"')[0]
    return {
        "arch": platform.machine(),
        "cpu": cpuinfo.get("model name") or ARM_PARTS.get(part) or platform.processor() or None,
        "board": read("/proc/device-tree/model").strip("\0\n") or None,
        "cores": os.cpu_count(),
        "os": f"{system or platform.system()}, kernel {platform.release()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "governor": read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").strip() or None,
        "affinity": sorted(getattr(os, "sched_getaffinity", lambda _: ())(0)),
        "emulator": emulator(),
    }


def emulator() -> str | None:
    """Name the program that plays another processor to this process: QEMU's user mode.

    It shows a process its own program as /proc/self/exe, but not as that of its thread.
    """
    try:
        program = Path(f"/proc/self/task/{os.getpid()}/exe").readlink().name
    except OSError:
        return None
    return program if program.startswith("qemu-") else None


def pin(cores: list[int] | None) -> None:
    """Keep this process, and the threads that it will start, on these cores."""
    if not cores:
        return
    try:
        os.sched_setaffinity(0, cores)
    # Not Linux, no such core, or a container that may not use it.
    except (AttributeError, OSError, ValueError) as error:
        raise NoSuchCore(f"cannot be pinned to cores {cores} ({error})") from error


def snapshot() -> Json:
    """Return the machine's counters and sensors at this moment; null where there is none."""
    total = next(iter(read("/proc/stat").splitlines()), "").split()[1:9]
    tick = os.sysconf("SC_CLK_TCK")
    user, nice, system, _, _, irq, softirq, steal = (
        [int(n) / tick for n in total] if len(total) == 8 else [math.nan] * 8
    )
    own = os.times()
    return {
        "wall_s": time.perf_counter(),
        "busy_s": user + nice + system + irq + softirq,
        "steal_s": steal,
        "own_s": own.user + own.system,
        "waited_s": waited_seconds(),
        "clock_mhz": clock_mhz(),
        "temperature_c": number("/sys/class/thermal/thermal_zone0/temp", 1e3),
        "throttle_count": number(
            "/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", 1
        ),
        "pi_throttled": pi_throttled(),
        "energy_uj": energy_uj(),
    }


def change(before: Json, after: Json) -> Json:
    """Return what happened to the machine between two snapshots.

    ``others_share`` is the part of all cores that other processes used, ``waiting_share`` the
    part of the time that the thread which waited most was ready and had no core.
    """
    spent = {k: after[k] - before[k] for k in ("wall_s", "busy_s", "steal_s", "own_s")}
    wall, capacity = spent["wall_s"], spent["wall_s"] * (os.cpu_count() or 1)
    waited = [s - before["waited_s"].get(name, 0.0) for name, s in after["waited_s"].items()]
    return {
        "others_share": known((spent["busy_s"] - spent["own_s"]) / capacity),
        "steal_share": known(spent["steal_s"] / capacity),
        "waiting_share": known(max(waited, default=math.nan) / wall),
        "clock_mhz": before["clock_mhz"],
        "clock_mhz_end": after["clock_mhz"],
        "temperature_c": before["temperature_c"],
        "temperature_c_end": after["temperature_c"],
        "throttled": throttling(before, after),
    }


def throttling(before: Json, after: Json) -> list[str]:
    """Name what slowed the clock between two snapshots, as far as the machine tells."""
    names = []
    if (after["throttle_count"] or 0) > (before["throttle_count"] or 0):
        names.append("thermal throttling")
    happened = after["pi_throttled"] | (after["pi_throttled"] & ~before["pi_throttled"]) >> 16
    names += [name for bit, name in enumerate(PI_THROTTLE_BITS) if happened >> bit & 1]
    return names


def energy_uj(root: str = "/sys/class/powercap") -> dict[str, tuple[float, float]]:
    """Return each processor's energy counter (RAPL) and where it begins anew; microjoules.

    Only root may read it on most systems, and a virtual machine has none.
    """
    found = {}
    for zone in map(str, Path(root).glob("intel-rapl:*")):  # AMD's processors have it, too
        now, end = number(f"{zone}/energy_uj", 1), number(f"{zone}/max_energy_range_uj", 1)
        if read(f"{zone}/name").startswith("package") and now is not None and end:
            found[zone] = (now, end)
    return found


def spent_mj(
    before: dict[str, tuple[float, float]], after: dict[str, tuple[float, float]]
) -> float | None:
    """Return what all processors used between two looks, millijoules; None where untold."""
    if not before or before.keys() != after.keys():
        return None
    return sum((after[zone][0] - now) % end for zone, (now, end) in before.items()) / 1e3


def waited_seconds() -> dict[str, float]:
    """Return, for each thread of this process, how long it was ready to run but had no core."""
    texts = {t.name: read(str(t / "schedstat")).split() for t in Path("/proc/self/task").glob("*")}
    return {name: int(words[1]) / 1e9 for name, words in texts.items() if len(words) == 3}


def clock_mhz() -> float | None:
    """Return the first core's clock."""
    scaled = number("/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", 1e3)
    if scaled is not None:
        return scaled
    found = read("/proc/cpuinfo").partition("cpu MHz")[2].partition("\n")[0].strip(" \t:")
    return float(found) if found else None


def pi_throttled() -> int:
    """Return the Raspberry Pi firmware's throttle bits; 0 on other machines."""
    program = shutil.which("vcgencmd")
    if program is None:
        return 0
    told = subprocess.run([program, "get_throttled"], capture_output=True, text=True, check=False)
    try:
        return int(told.stdout.strip().partition("=")[2], 16)
    except ValueError:
        return 0


def number(path: str, divisor: float) -> float | None:
    """Read a number of the kernel's; None where it isn't told."""
    try:
        return float(read(path)) / divisor
    except ValueError:
        return None


def known(share: float) -> float | None:
    """Return a share at or above 0, four digits, or None for what the machine didn't tell."""
    return None if math.isnan(share) else max(0.0, round(share, 4))


def read(path: str) -> str:
    """Return a small text of the kernel's; empty where it is absent."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
