"""Files that appear whole or not at all, and their hashes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgecnn.core.errors import InputError


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


@contextlib.contextmanager
def new_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Fill a folder that appears under its name only when it is complete.

    Args:
        path: The folder to make. What an earlier, killed run left beside it is removed.
        replace: Take the place of a folder that is already there; else that is refused.

    Raises:
        InputError: the folder exists, or can't be written.
    """
    if path.exists() and not replace:
        raise InputError(
            "there is already a result", where=path, fix="choose another --out or add --force"
        )
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        for stale in path.parent.glob(f".{path.name}.partial-*"):
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
    if not path.exists():
        new.rename(path)
        return
    old = path.with_name(f".{path.name}.partial-old-{os.getpid()}")
    path.rename(old)
    new.rename(path)
    if old.is_dir():
        shutil.rmtree(old, ignore_errors=True)
    else:
        old.unlink(missing_ok=True)


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
    if not path.is_file():
        what = "a folder instead of a file" if path.is_dir() else f"no such {kind}"
        raise InputError(what, where=path, fix="check the path")
    try:
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
