"""Programs of this machine that make and start an emulated board."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from edgecnn.core.errors import InputError

INSTALL = "on Debian, run tools/system-packages as root"


def run(
    command: list[str],
    *,
    fix: str = INSTALL,
    folder: Path | None = None,
    environment: dict[str, str] | None = None,
) -> str:
    """Run a program and return what it printed.

    Args:
        command: The program and its arguments.
        fix: What to do when it fails.
        folder: Where it runs.
        environment: On top of this process's.

    Raises:
        InputError: it is not installed, or it failed.
    """
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError:
        raise absent(command[0]) from None
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise InputError(f"{command[0]} failed ({said[:200]})", where="an emulated board", fix=fix)
    return done.stdout


def absent(name: str) -> InputError:
    """Build the error for a program that is not installed."""
    return InputError(f"no program {name}", where="this machine", fix=INSTALL)
