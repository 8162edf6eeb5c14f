"""Files that appear whole or not at all, and their hashes."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import glob
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgecnn.core.errors import InputError

# Linux, renameat2(2): swap two names atomically; paths are relative to the working folder.
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's refusals to write (full, read-only, not a folder) into one line."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        fix = (
            "free some space"
            if error.errno in (errno.ENOSPC, errno.EDQUOT)
            else ("choose another output path")
        )
        reason = os.strerror(error.errno).lower()
        raise InputError(f"cannot write ({reason})", where=path, fix=fix) from error


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file by rename: whoever looks sees the old bytes or the new ones.

    Raises:
        InputError: the disk is full or the folder can't be written.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.partial-")
        partial = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            partial.chmod(0o666 & ~_umask())
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text by rename; see `write_bytes`."""
    write_bytes(path, text.encode())


def refuse_existing(path: Path, *, force: bool) -> None:
    """Make sure that nothing is replaced unasked.

    Raises:
        InputError: the path exists, and ``force`` is not given.
    """
    if path.exists() and not force:
        raise InputError(
            "there is already a result", where=path, fix="choose another --out or add --force"
        )


def refuse_unwritable(folder: Path) -> None:
    """Make sure that a folder takes files, before long work whose result would be lost.

    Args:
        folder: It need not be there yet; nothing is left in it or above it, nor in its times.

    Raises:
        InputError: nobody may write there, or a part of its path is a file.
    """
    with writing(folder):
        there = next(p for p in (folder, *folder.absolute().parents) if p.exists())
        before = there.stat()
        handle, name = tempfile.mkstemp(dir=there, prefix=f".{folder.name}.partial-")
        os.close(handle)
        Path(name).unlink()
        os.utime(there, ns=(before.st_atime_ns, before.st_mtime_ns))


@contextlib.contextmanager
def new_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Fill a folder that appears under its name only when it is complete.

    Args:
        path: The folder to make. What an earlier, killed run left beside it is removed.
        replace: Take the place of a folder that is already there; else that is refused.

    Raises:
        InputError: the folder exists, or can't be written.
    """
    _restore(path)
    refuse_existing(path, force=replace)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        for stale in path.parent.glob(f".{glob.escape(path.name)}.partial-*"):
            shutil.rmtree(stale, ignore_errors=True)
        partial = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.partial-"))
        try:
            partial.chmod(0o777 & ~_umask())
            yield partial
            _swap(partial, path)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


def _swap(new: Path, path: Path) -> None:
    """Give the new folder its name; an old one gives way without a moment of absence."""
    if not path.exists():
        new.rename(path)
        return
    old = new
    if not _exchange(new, path):
        old = path.with_name(f"{_old_name(path)}{os.getpid()}")
        path.rename(old)
        new.rename(path)
    if old.is_dir():
        shutil.rmtree(old, ignore_errors=True)
    else:
        old.unlink(missing_ok=True)


def _exchange(first: Path, second: Path) -> bool:
    """Swap two names in one step; False where the system or file system can't."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    if rename is None:
        return False
    names = os.fsencode(first.absolute()), os.fsencode(second.absolute())
    return bool(rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0)


def _restore(path: Path) -> None:
    """Bring back what a run moved aside and, killed, never replaced (without `_exchange`)."""
    aside = next(path.parent.glob(f"{glob.escape(_old_name(path))}*"), None)
    if aside is not None and not path.exists():
        with writing(path):
            aside.rename(path)


def _old_name(path: Path) -> str:
    return f".{path.name}.partial-old-"


def sha256(path: Path) -> str:
    """Hash a file's content; hexadecimal, 64 characters."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_bytes(path: Path, *, limit: int, kind: str) -> bytes:
    """Read a file that somebody else made.

    Args:
        path: The file.
        limit: Largest size that is read, in bytes.
        kind: What the file should be; named in the error.

    Raises:
        InputError: no such file, a folder, empty, unreadable or larger than ``limit``.
    """
    try:
        if not path.is_file():
            what = "a folder instead of a file" if path.is_dir() else f"no such {kind}"
            raise InputError(what, where=path, fix="check the path")
        size = path.stat().st_size
        if size == 0:
            raise InputError(f"an empty {kind}", where=path, fix="make the file again")
        if size > limit:
            raise InputError(
                f"a {kind} of {size / 1e6:.0f} MB",
                where=path,
                fix=f"files above {limit / 1e6:.0f} MB are refused",
            )
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"an unreadable {kind}", where=path, fix=str(error.strerror)) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
