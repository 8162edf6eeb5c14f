"""What starting the command line costs: whole processes, wall time and peak memory.

Run: python tools/startup_cost.py FILE.tflite PHOTO [--repeat 15]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path


def cost(command: list[str]) -> tuple[float, float]:
    """Return seconds of one run, and the peak RSS in MB of its largest process."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return seconds, usage.ru_maxrss * 1024 / 1e6


def main() -> None:
    """Print the median of each command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--repeat", type=int, default=15)
    args = parser.parse_args()
    program = str(Path(sys.executable).with_name("edgecnn"))
    for name, command in (
        ("edgecnn --help", [program, "--help"]),
        ("edgecnn predict", [program, "predict", str(args.file), str(args.photo)]),
    ):
        runs = [cost(command) for _ in range(args.repeat)]
        seconds = statistics.median(s for s, _ in runs)
        print(f"{name:16s} {seconds:.3f} s   peak RSS {max(m for _, m in runs):.0f} MB")


if __name__ == "__main__":
    main()
