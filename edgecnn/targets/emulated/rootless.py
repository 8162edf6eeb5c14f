"""An emulated board for an ordinary user: proot follows each system call instead of the kernel."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from pathlib import Path

from edgecnn.core.errors import InputError
from edgecnn.targets.emulated.boards import System

# The user's own files have another owner than sshd expects.
SSHD = "StrictModes no\n"
# All of a board's processes have it in their environment: nothing else holds them together.
MARK = "EDGECNN_BOARD"


def adopt(root: Path) -> None:
    """Make the board's user this one: no other can be become."""
    for name in ("passwd", "group"):
        path = root / "etc" / name
        ids = f"{os.getuid()}:{os.getgid()}" if name == "passwd" else str(os.getgid())
        usual = "1000:1000" if name == "passwd" else "1000"
        text = path.read_text(encoding="utf-8").replace(f"pi:x:{usual}:", f"pi:x:{ids}:")
        path.write_text(text, encoding="utf-8")


def kill(folder: Path) -> None:
    """End all processes of the board in a folder, and remove what only its owner's `rmdir` can."""
    mark = f"{MARK}={folder}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)
    # Where proot had put folders of the host: without leave to look into them.
    for name in ("root/dev/pts", "root/host-rootfs"):
        with contextlib.suppress(OSError):
            (folder / name).rmdir()


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
    proot = ["proot", "-q", f"qemu-{system.qemu}-static", "-r", str(root)]
    return [
        *("sh", "-c", 'echo $$ >"$0"; exec "$@"', str(number)),
        *(*proot, *devices, "-b", "/proc:/.proc", "-w", "/", "/usr/sbin/sshd", "-D", "-e"),
    ]
