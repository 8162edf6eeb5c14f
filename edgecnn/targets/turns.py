"""One measurement of a board at a time, whoever asks: a lock a board on this machine.

The system lets go of a lock when its holder ends, however it ends. What runs on this machine's
own cores (its CPU, its GPU, the boards it emulates) shares one lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from edgecnn.core import files, interruption
from edgecnn.core.progress import say

THIS_MACHINE = "this machine"

_REMOTE = "ssh"
_NOWHERE = "predicted"
_PAUSE_SECONDS = 0.1
# A row that is nearly done is not worth a word.
_SILENT_PAUSES = 20


def board_of(target: str) -> str | None:
    """Return the board whose turn a target needs; None where nothing runs.

    Args:
        target: A target's name, such as "cpu" or "ssh:pi@pi4"; users of a board share it.
    """
    kind, _, name = target.partition(":")
    if kind == _NOWHERE:
        return None
    return name.rpartition("@")[2] if kind == _REMOTE and name else THIS_MACHINE


@contextlib.contextmanager
def turn(
    target: str, *, folder: Path | None = None, pause: Callable[[float], None] = time.sleep
) -> Iterator[None]:
    """Hold a target's board for the time of the block; wait for it, and say so.

    Args:
        target: See `board_of`.
        folder: Where locks are. None: where this system keeps them for all users.
        pause: Waits some seconds.

    Raises:
        InputError: the folder can't be written.
    """
    board = board_of(target)
    if board is None:
        yield
        return
    name = f"edgecnn-{re.sub(r'[^0-9A-Za-z.-]+', '_', board)}"
    place = folder or _folder()
    with _held(place / f"{name}.lock") as lock:
        # Who waits holds the queue: a run of many rows lets others in between two of its own.
        with _held(place / f"{name}.queue") as queue:
            _wait((queue, lock), board, pause)
        yield


def _wait(handles: Iterable[int], board: str, pause: Callable[[float], None]) -> None:
    """Take locks one after the other, with a word to the user where that lasts."""
    pauses = 0
    for handle in handles:
        while not _taken(handle):
            interruption.check()
            if pauses == _SILENT_PAUSES:
                say(f"waiting: another measurement of {board} is running")
            pauses += 1
            pause(_PAUSE_SECONDS)


@contextlib.contextmanager
def _held(path: Path) -> Iterator[int]:
    """Open a lock for the time of the block; closing lets it go."""
    with files.writing(path):
        handle = _open(path)
    try:
        yield handle
    finally:
        os.close(handle)


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open(path: Path) -> int:
    """Open a lock that any user may have made: only who makes it needs to write."""
    flags = os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, os.O_RDONLY | flags)
    except FileNotFoundError:
        handle = os.open(path, os.O_RDONLY | os.O_CREAT | flags, 0o644)
        os.fchmod(handle, 0o644)  # whatever this user's mask
        return handle


def _folder() -> Path:
    """Return the folder of locks of the Filesystem Hierarchy Standard, or that of passing files."""
    standard = Path("/run/lock")
    return standard if os.access(standard, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())
