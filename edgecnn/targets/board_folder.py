"""Where a session on a board puts its files, and the lock that it measures under."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

PREFIX = "edgecnn-"
# One for all users of a board, in the first of these folders that takes files.
LOCK = "edgecnn-this_machine.lock"
LOCK_FOLDERS = ("/run/lock", "/tmp")  # noqa: S108 - known to all, on purpose


def private_folder() -> tuple[Path, Any]:
    """Make this session's folder, and remove those of sessions that a power cut ended.

    Returns:
        The folder, and an open file in it that is locked as long as the session lives.
    """
    asked = os.environ.get("TMPDIR")
    # Not /tmp at first: in memory, it would be counted as the model's, or be too small.
    places = [asked] if asked else ["/var/tmp", str(Path.home()), "/tmp"]  # noqa: S108 - mkdtemp
    problem = OSError("no folder")
    for place in places:
        try:
            remove_stale(Path(place))
            folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
            alive = (folder / ".alive").open("w")
        except OSError as error:
            problem = error
        else:
            fcntl.flock(alive, fcntl.LOCK_EX)
            return folder, alive
    raise problem


def remove_stale(place: Path) -> None:
    """Remove this user's folders of sessions that no longer live."""
    for folder in place.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError), (folder / ".alive").open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if folder.lstat().st_uid == os.getuid():
                shutil.rmtree(folder, ignore_errors=True)


def open_lock() -> Any:
    """Open the lock that a benchmark on the board itself takes; see `edgecnn.targets.turns`."""
    place = next(f for f in LOCK_FOLDERS if os.access(f, os.W_OK | os.X_OK))
    path, flags = Path(place) / LOCK, os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        # Without O_CREAT: the kernel refuses it for another user's file in such a folder.
        return os.fdopen(os.open(path, os.O_RDONLY | flags))
    except FileNotFoundError:
        handle = os.open(path, os.O_RDONLY | os.O_CREAT | flags, 0o644)
        os.fchmod(handle, 0o644)
        return os.fdopen(handle)
