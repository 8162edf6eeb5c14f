"""How much memory this process has held at its fullest."""

from __future__ import annotations

import resource
from pathlib import Path

STATUS = Path("/proc/self/status")
"""Where Linux says what a process holds."""


def peak_rss_mb(status: Path = STATUS) -> float:
    """Return this process's largest resident memory so far, MB.

    It is VmHWM where the system has it: ru_maxrss begins with the size of the process that
    started this one.
    """
    try:
        lines = status.read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
