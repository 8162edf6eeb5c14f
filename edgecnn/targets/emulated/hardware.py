"""What a Raspberry Pi's kernel and firmware show, as plain files: they are the tests' knobs.

Runtimes read /proc/cpuinfo and /sys/devices/system/cpu and choose kernels by them. With the
host's files LiteRT and ONNX Runtime crash; with none LiteRT runs without XNNPACK.
"""

from __future__ import annotations

from pathlib import Path

from edgecnn.targets.emulated.boards import EmulatedBoard

CORES = 4

_CPUS = "sys/devices/system/cpu"
_ZONE = "sys/class/thermal/thermal_zone0"
# Where Linux shows what `vcgencmd get_throttled` asks the firmware for; without "0x".
_THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"
_MODEL = "sys/firmware/devicetree/base/model"
# The rest of /proc comes from the kernel, by links into the real one.
_REAL = (
    *("self", "thread-self", "stat", "uptime", "mounts", "version", "filesystems", "sys", "net"),
)
_VCGENCMD = f"""#!/bin/sh
# Answers what a Raspberry Pi's firmware does, from the files that tests write.
case "$1" in
    get_throttled) echo "throttled=0x$(cat /{_THROTTLED})" ;;
    measure_temp) awk '{{ printf "temp=%.1f'"'"'C\\n", $1 / 1000 }}' /{_ZONE}/temp ;;
    measure_clock) awk '{{ printf "frequency(48)=%d000\\n", $1 }}' \\
        /{_CPUS}/cpu0/cpufreq/scaling_cur_freq ;;
    *) echo "error=1 error_msg=\\"Command not registered\\"" ; exit 255 ;;
esac
"""


def install(board: EmulatedBoard, root: Path) -> None:
    """Write a cool board at full speed into its root."""
    texts = {
        "proc/cpuinfo": _cpuinfo(board),
        "proc/meminfo": _meminfo(board),
        "proc/loadavg": "0.08 0.03 0.01 1/120 900\n",
        _MODEL: board.model + "\0",
        f"{_ZONE}/type": "cpu-thermal\n",
        "etc/hostname": "raspberrypi\n",
        "usr/bin/vcgencmd": _VCGENCMD,
        **_cpu_files(board),
    }
    for name, text in texts.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (root / "usr/bin/vcgencmd").chmod(0o755)
    (root / ".proc").mkdir()
    for name in _REAL:
        (root / "proc" / name).symlink_to(f"/.proc/{name}")
    (root / "proc/device-tree").symlink_to("/sys/firmware/devicetree/base")
    set_temperature(root, celsius=48.3)
    set_throttled(root, bits=0)
    set_clock(root, mhz=board.clock_mhz)


def set_temperature(root: Path, *, celsius: float) -> None:
    """Make the board's sensor show a temperature."""
    (root / _ZONE / "temp").write_text(f"{round(1000 * celsius)}\n")


def set_throttled(root: Path, *, bits: int) -> None:
    """Make the firmware report throttling: get_throttled's bits, 0 for none."""
    path = root / _THROTTLED
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{bits:x}\n")


def set_clock(root: Path, *, mhz: int) -> None:
    """Make all cores show a clock."""
    for core in range(CORES):
        (root / f"{_CPUS}/cpu{core}/cpufreq/scaling_cur_freq").write_text(f"{1000 * mhz}\n")


def _cpu_files(board: EmulatedBoard) -> dict[str, str]:
    found = {f"{_CPUS}/{name}": f"0-{CORES - 1}\n" for name in ("possible", "present", "online")}
    found[f"{_CPUS}/kernel_max"] = "255\n"
    every, top = f"0-{CORES - 1}\n", f"{1000 * board.clock_mhz}\n"
    for core in range(CORES):
        clocks = {"cpuinfo_max_freq": top, "scaling_max_freq": top, "scaling_cur_freq": top}
        clocks |= {"cpuinfo_min_freq": "600000\n", "scaling_governor": "ondemand\n"}
        place = {"physical_package_id": "0\n", "core_id": f"{core}\n"}
        place |= {"core_siblings_list": every, "thread_siblings_list": f"{core}\n"}
        place |= {"package_cpus_list": every}
        for name, text in clocks.items():
            found[f"{_CPUS}/cpu{core}/cpufreq/{name}"] = text
        for name, text in place.items():
            found[f"{_CPUS}/cpu{core}/topology/{name}"] = text
    return found


def _cpuinfo(board: EmulatedBoard) -> str:
    architecture = "8" if board.system.qemu == "aarch64" else "7"
    cores = "".join(
        f"processor\t: {core}\nBogoMIPS\t: 108.00\nFeatures\t: {board.features}\n"
        f"CPU implementer\t: 0x41\nCPU architecture: {architecture}\nCPU variant\t: 0x0\n"
        f"CPU part\t: {board.part}\nCPU revision\t: 3\n\n"
        for core in range(CORES)
    )
    return (
        f"{cores}Hardware\t: {board.soc}\nRevision\t: {board.revision}\n"
        f"Serial\t\t: 10000000c0ffee00\nModel\t\t: {board.model}\n"
    )


def _meminfo(board: EmulatedBoard) -> str:
    """Show the board's own memory, most of it free."""
    total = board.memory_mb * 1_000_000 // 1024
    parts = {"MemTotal": 1.0, "MemFree": 0.7, "MemAvailable": 0.85, "Buffers": 0.02, "Cached": 0.18}
    rows = "".join(f"{name + ':':<16}{round(total * part):>8} kB\n" for name, part in parts.items())
    return f"{rows}{'SwapTotal:':<16}{0:>8} kB\n{'SwapFree:':<16}{0:>8} kB\n"
