"""What a board's facts mean for measuring there: each check is one function."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator

from edgecnn.bench.machine import ARM_PARTS, PI_THROTTLE_BITS
from edgecnn.targets.findings import Finding
from edgecnn.targets.probe import Board

# A day: more is no clock that was set by hand.
_CLOCK_TOLERANCE_SECONDS = 86_400
# Raspberry Pis slow down at 80 degrees, most laptops and boards between 85 and 100.
_HOT_C = 75.0
# An interpreter with numpy and a runtime takes 50 to 110 MB with a small file.
_LEAST_MEMORY_MB = 150
_LEAST_DISK_MB = 50
# Debian 11's; the runtimes' wheels ask for no newer one on Python 3.9.
_OLDEST_GLIBC = (2, 31)
_FIX_THROTTLE = {
    "under-voltage": "use the board's own power supply and a short cable",
    "clock capped": "use a stronger power supply",
    "throttled": "cool it, and give it a stronger power supply",
    "soft temperature limit": "put a heat sink or a fan on it",
}


def board_findings(board: Board, *, now: float) -> tuple[Finding, ...]:
    """Judge a board, as far as it told about itself.

    Args:
        board: See `probe`.
        now: Seconds since 1970, by this machine's clock.
    """
    checks: tuple[Callable[[Board], Iterator[Finding]], ...] = (
        _architecture, _system, _features, _memory, _disk, _governor, _heat, _load,
    )  # fmt: skip
    found = [finding for check in checks for finding in check(board)]
    return (*found, *_clock(board, now))


def _architecture(board: Board) -> Iterator[Finding]:
    machine, kernel = board.machine, board.facts.get("machine", "")
    cpu = board.facts.get("cpu") or ARM_PARTS.get(board.facts.get("part", ""), "")
    named = ", ".join(part for part in (board.facts.get("board", ""), cpu) if part)
    what = f"{machine}, {board.cores or '?'} cores{f' ({named})' if named else ''}"
    if machine in ("aarch64", "x86_64"):
        yield Finding("architecture", "ok", what)
    elif machine == "armv7l":
        better = " on a 64-bit kernel: the board can run a 64-bit one" if "64" in kernel else ""
        yield Finding(
            "architecture",
            "warning",
            f"{what}: a 32-bit system{better}",
            "a 64-bit system brings LiteRT 2 and ONNX; on this one only tflite-runtime 2.14 runs",
        )
    else:
        yield Finding(
            "architecture",
            "error",
            f"{what}: no runtime has packages for it",
            "use a board with a 64-bit ARM or x86 CPU: Raspberry Pi 3, Zero 2 or newer",
        )


def _system(board: Board) -> Iterator[Finding]:
    name = ", ".join(board.facts[key] for key in ("os", "kernel") if board.facts.get(key))
    libc = board.facts.get("libc", "")
    if not libc:
        return
    if "glibc" not in libc.lower():
        yield Finding(
            "system",
            "error",
            f"{name}: its C library is not glibc ({libc[:40]})",
            "use a system with glibc, such as Raspberry Pi OS or Debian",
        )
        return
    digits = libc.split()[-1].split(".")
    version = tuple(int(part) for part in digits[:2] if part.isdigit())
    if version < _OLDEST_GLIBC:
        yield Finding(
            "system", "error", f"{name}: {libc} is too old for the runtimes' packages",
            "install Raspberry Pi OS or Debian 11 or newer",
        )  # fmt: skip
    else:
        yield Finding("system", "ok", f"{name}, {libc}")


def _features(board: Board) -> Iterator[Finding]:
    have = set(board.facts.get("features", "").split())
    if not have:
        return
    if board.machine == "aarch64":
        yield _instructions(
            "asimddp" in have, "int8 dot products (asimddp)",
            "no int8 dot products: int8 gains less there than on a Cortex-A76 or newer",
        )  # fmt: skip
        yield _instructions(
            "asimdhp" in have, "float16 arithmetic (asimdhp)",
            "no float16 arithmetic: a float16 file is smaller, and computed in float32",
        )  # fmt: skip
    elif board.machine == "x86_64":
        yield _instructions(
            bool({"avx512_vnni", "avx_vnni"} & have), "int8 dot products (VNNI)",
            "no int8 dot products (VNNI): int8 is hardly faster than float32 there",
        )  # fmt: skip
        yield _instructions("avx2" in have, "AVX2", "no AVX2: all files are slow there")


def _instructions(there: bool, good: str, bad: str) -> Finding:
    return Finding("CPU", "ok" if there else "note", good if there else bad)


def _memory(board: Board) -> Iterator[Finding]:
    total, free = board.number("memory_kb"), board.number("available_kb")
    if total is None:
        return
    if free is None:
        yield Finding("memory", "ok", f"{_mb(total):.0f} MB")
        return
    what = f"{_mb(free):.0f} MB of {_mb(total):.0f} MB free"
    if _mb(free) < _LEAST_MEMORY_MB:
        yield Finding("memory", "warning", what, "end other programs there, such as the desktop")
    else:
        yield Finding("memory", "ok", what)


def _disk(board: Board) -> Iterator[Finding]:
    place, free = board.facts.get("folder", ""), board.number("disk_kb")
    if free is None:
        if "user" in board.facts:  # it was asked, and has no folder to write to
            yield Finding(
                "disk", "error", "no folder that takes files", "let TMPDIR name one there"
            )
        return
    what = f"{_mb(free):.0f} MB free in {place}"
    if _mb(free) < _LEAST_DISK_MB or board.number("inodes") == 0:
        fix = "free some, or set TMPDIR in its ~/.profile to a folder with room"
        yield Finding("disk", "error" if _mb(free) < 1 else "warning", what, fix)
    else:
        yield Finding("disk", "ok", what)


def _governor(board: Board) -> Iterator[Finding]:
    name, clock = board.facts.get("governor", ""), board.number("clock_max_khz")
    if not name:
        return
    top = f", up to {clock / 1e3:.0f} MHz" if clock else ""
    if name == "powersave" and board.facts.get("part"):
        yield Finding(
            "clock", "warning", f"governor {name}{top}: the slowest clock all the time",
            "echo ondemand | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
        )  # fmt: skip
    else:
        yield Finding("clock", "ok", f"governor {name}{top}")


def _heat(board: Board) -> Iterator[Finding]:
    degrees = board.number("temperature_mc")
    if degrees is not None:
        celsius = degrees / 1e3
        if celsius >= _HOT_C:
            yield Finding(
                "heat", "warning", f"{celsius:.0f} °C before anything ran",
                "let it cool down, or put a heat sink or a fan on it",
            )  # fmt: skip
        else:
            yield Finding("heat", "ok", f"{celsius:.0f} °C")
    bits = board.throttled
    if bits is None:
        return
    for bit, name in enumerate(PI_THROTTLE_BITS):
        if bits >> bit & 1:
            yield Finding("throttling", "warning", f"now: {name}", _FIX_THROTTLE[name])
        elif bits >> bit + 16 & 1:
            yield Finding("throttling", "note", f"since it started, not now: {name}")
    if not bits:
        yield Finding("throttling", "ok", "none since it started")


def _load(board: Board) -> Iterator[Finding]:
    load = board.number("load")
    if load is None:
        return
    if board.cores and load > 0.5 * board.cores:
        yield Finding(
            "load", "warning", f"{load:.1f} programs at work on {board.cores} cores",
            "end them, or wait: a busy board's rows are not valid",
        )  # fmt: skip
    else:
        yield Finding("load", "ok", f"{load:.1f}")


def _clock(board: Board, now: float) -> Iterator[Finding]:
    theirs = board.number("now")
    if theirs is None:
        return
    try:
        said = datetime.datetime.fromtimestamp(theirs, datetime.UTC).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        said = f"{theirs:.0f} s"
    if abs(theirs - now) > _CLOCK_TOLERANCE_SECONDS:
        yield Finding(
            "date", "warning", f"its clock says {said} UTC, which is not now",
            "sudo timedatectl set-ntp true; until then it can't install from the network",
        )  # fmt: skip
    else:
        yield Finding("date", "ok", f"{said} UTC")


def _mb(kilobytes: float) -> float:
    return kilobytes * 1024 / 1e6
