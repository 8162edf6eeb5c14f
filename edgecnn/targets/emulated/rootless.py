"""An emulated board for an ordinary user: proot follows each system call instead of the kernel."""

from __future__ import annotations

import shutil
from pathlib import Path

from edgecnn.core.errors import InputError
from edgecnn.targets.emulated.boards import System

# The user's own files have another owner than sshd expects.
SSHD = "StrictModes no\n"


def command(system: System, root: Path, number: Path) -> list[str]:
    """Return the command that serves SSH in the root.

    Raises:
        InputError: no proot here.
    """
    if shutil.which("proot") is None:
        raise InputError(
            "no root, and no proot to do without",
            where="an emulated board",
            fix="install proot, or run as root",
        )
    devices = [
        part
        for name in ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts")
        for part in ("-b", f"/dev/{name}")
    ]
    proot = ["proot", "--kill-on-exit", "-q", f"qemu-{system.qemu}-static", "-r", str(root)]
    return [
        *("sh", "-c", 'echo $$ >"$0"; exec "$@"', str(number)),
        *(*proot, *devices, "-b", "/proc:/.proc", "-w", "/", "/usr/sbin/sshd", "-D", "-e"),
    ]
