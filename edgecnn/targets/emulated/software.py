"""What is installed on an emulated board beyond Debian: the runtimes, and the counting QEMU."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

from edgecnn.targets import requirements
from edgecnn.targets.board import Board
from edgecnn.targets.emulated.boards import PYTHON, System
from edgecnn.targets.emulated.program import absent, run

PLUGIN = Path(__file__).with_name("counting.c")
COUNTING = "usr/local/bin/count-instructions"
"""On the board: ``count-instructions FILE PROGRAM ARGUMENT...`` writes the counts to FILE."""

_PACKAGES = f"usr/local/lib/python{PYTHON}/dist-packages"
_STANDARD = f"usr/lib/python{PYTHON}"
_QEMU = "opt/qemu"
_LIBRARY = re.compile(r"(/\S+) \(0x")


def wanted(board: Board, formats: Iterable[str]) -> tuple[str, ...]:
    """Return pip's lines for the runtimes of these formats, and the older one for TFLite."""
    lines = [line for kind in formats for line in requirements.requirements(kind, board)]  # type: ignore[arg-type]
    if board.machine == "aarch64":
        # numpy 1, which serves the other runtimes here, serves it too.
        lines.append("tflite-runtime==2.14.0")
    return tuple(dict.fromkeys(lines))


def install_wheels(lines: tuple[str, ...], board: Board, root: Path, scratch: Path) -> None:
    """Download the wheels and unpack them where the board's Python looks.

    Raises:
        InputError: no network, or a wheel that doesn't exist.
    """
    folder = root / _PACKAGES
    folder.mkdir(parents=True)
    for wheel in requirements.download(lines, board, scratch, python=PYTHON):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)


def compile_modules(root: Path) -> None:
    """Compile all modules: the board's user can't, and would read the text at every start."""
    python = _host_python()
    if python is None:
        return
    for name in (_STANDARD, _PACKAGES, "usr/lib/python3/dist-packages"):
        if (root / name).is_dir():
            command = [
                *(python, "-m", "compileall", "-q", "-q", "-j", str(os.cpu_count() or 1)),
                *("--invalidation-mode", "unchecked-hash", "-s", str(root), "-p", "/"),
                *("-x", r"/(test|tests|lib2to3|idlelib)/", str(root / name)),
            ]
            # Its status tells of modules for other Pythons, which some packages carry.
            subprocess.run(command, capture_output=True, check=False)


def _host_python() -> str | None:
    """Return an interpreter here whose compiled modules the board's Python takes."""
    version = ".".join(str(n) for n in sys.version_info[:2])
    return sys.executable if version == PYTHON else shutil.which(f"python{PYTHON}")


def install_counting(system: System, root: Path) -> None:
    """Put a QEMU that counts instructions on the board, with all libraries it needs.

    The static QEMU that runs the board takes no plugins, so this one, of the host's processor,
    goes in beside it.

    Raises:
        InputError: no such QEMU here, or no compiler.
    """
    emulator = shutil.which(f"qemu-{system.qemu}")
    if emulator is None:
        raise absent(f"qemu-{system.qemu}")
    folder = root / _QEMU
    folder.mkdir(parents=True)
    told = run(["ldd", emulator])
    libraries = [Path(found[1]) for found in _LIBRARY.finditer(told)]
    for path in (Path(emulator), *libraries):
        shutil.copy(path, folder / path.name)
    compiler = [*("gcc", "-shared", "-fPIC", "-O2", "-o"), str(folder / "counting.so")]
    run([*compiler, str(PLUGIN)])
    loader = next(path.name for path in libraries if path.name.startswith("ld-"))
    script = root / COUNTING
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(
        f"""#!/bin/sh
# count-instructions FILE PROGRAM ARGUMENT...: FILE gets one number for each mark of PROGRAM.
set -eu
out=$1 program=$(command -v "$2")
shift 2
# The seed is for the random bytes that each program is given: hash tables depend on them.
exec /{_QEMU}/{loader} --library-path /{_QEMU} /{_QEMU}/{Path(emulator).name} -seed 1 \\
    -plugin /{_QEMU}/counting.so,out="$out" "$program" "$@"
""",
        encoding="utf-8",
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


def emulator_version(system: System) -> str:
    """Return the version of the QEMU that counts."""
    told = run([f"qemu-{system.qemu}", "--version"])
    return told.splitlines()[0]
