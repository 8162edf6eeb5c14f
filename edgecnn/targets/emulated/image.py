"""The root folder of an emulated board as one file: built once, kept in the cache."""

from __future__ import annotations

import fcntl
import hashlib
import json
import tempfile
from pathlib import Path

from edgecnn.core import files
from edgecnn.core.errors import InputError
from edgecnn.core.progress import bar
from edgecnn.data.download import cache_folder
from edgecnn.targets.board import Board
from edgecnn.targets.emulated import debian, software
from edgecnn.targets.emulated.boards import System
from edgecnn.targets.emulated.program import run


def folder() -> Path:
    """Return where images, and boards that were started to stay, are kept."""
    return cache_folder() / "emulated"


def image(system: System, board: Board, *, rebuild: bool = False) -> Path:
    """Return the image of a system, built first where the cache does not have it.

    Raises:
        InputError: a program that building takes is absent, or no network.
    """
    lines = software.wanted(board, system.runtimes)
    path = folder() / f"{system.debian}-{_key(system, lines)}.tar.zst"
    if path.is_file() and not rebuild:
        return path
    with files.writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = (path.parent / f"{system.debian}.lock").open("w")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # who builds at the same time waits, and takes this one
        if rebuild or not path.is_file():
            _build(system, board, lines, path)
            for old in path.parent.glob(f"{system.debian}-*.tar.zst"):
                if old != path:
                    old.unlink()
    return path


def _key(system: System, lines: tuple[str, ...]) -> str:
    """Return digits that change with whatever an image is made of."""
    parts = [system.packages, system.runtimes, lines, software.emulator_version(system)]
    recipe = (Path(debian.__file__), Path(software.__file__), software.PLUGIN)
    text = json.dumps(parts) + "".join(path.read_text(encoding="utf-8") for path in recipe)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _build(system: System, board: Board, lines: tuple[str, ...], path: Path) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="edgecnn-board-") as scratch,
        bar(f"building an emulated board ({system.debian})", total=6) as advance,
    ):
        root, apt, wheels = (Path(scratch) / name for name in ("root", "apt", "wheels"))
        root.mkdir()
        apt.mkdir()
        advance(0, note="Debian packages")
        packages = debian.fetch(system.debian, system.packages, apt)
        advance(1, note="unpacking them")
        debian.unpack(packages, root)
        advance(1, note="wheels")
        software.install_wheels(lines, board, root, wheels)
        advance(1, note="compiling modules")
        software.compile_modules(root)
        advance(1, note="a QEMU that counts")
        software.install_counting(system, root)
        advance(1, note="packing")
        _pack(root, path)
        advance(1)


def _pack(root: Path, path: Path) -> None:
    part = path.with_name(f".{path.name}.part")
    how = ["tar", "--use-compress-program", "zstd -3 -T0", "--owner=0", "--group=0"]
    try:
        run([*how, "-cf", str(part), "-C", str(root), "."], fix="make room in the cache")
        with files.writing(path):
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def unpack(path: Path, root: Path) -> None:
    """Unpack an image into an empty folder.

    Raises:
        InputError: no room, or a damaged image.
    """
    try:
        run(["tar", "--zstd", "--preserve-permissions", "-xf", str(path), "-C", str(root)])
    except InputError as error:
        fix = f"make room in {root.parent}, or remove {path}"
        raise InputError(error.what, where=path, fix=fix) from error
