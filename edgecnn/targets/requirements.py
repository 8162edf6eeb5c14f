"""Which packages a board needs for a file, pinned to versions that have wheels for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from edgecnn.core.artifact import Format
from edgecnn.core.errors import InputError
from edgecnn.targets.board import Board

PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
"""Versions of Python that a board may have: Debian 11 to 13 have 3.9, 3.11 and 3.13."""

# As of November 2026 each has a wheel for aarch64 and x86_64 under each Python of its line.
# numpy 1.26 serves both runtimes, and Debian 12's picamera2 was built for numpy 1.
_NUMPY = (
    'numpy==1.26.4; python_version < "3.13"',
    'numpy==2.4.6; python_version >= "3.13"',
)
_PILLOW = (
    'pillow==11.3.0; python_version < "3.10"',
    'pillow==12.3.0; python_version >= "3.10"',
)
_LITERT = (
    'ai-edge-litert==2.1.0; python_version < "3.10"',
    'ai-edge-litert==2.3.0; python_version >= "3.10"',
)
_ONNXRUNTIME = (
    'onnxruntime==1.19.2; python_version < "3.10"',
    'onnxruntime==1.23.2; python_version == "3.10"',
    'onnxruntime==1.31.1; python_version >= "3.11"',
)
# The only runtime with wheels for 32-bit ARM; numpy and pillow have none and come from Debian.
_TFLITE_32 = ("tflite-runtime==2.14.0",)

# What pip calls the wheels of a machine; glibc 2.36 is Debian 12's, 2.31 is Debian 11's.
_GLIBC = {"3.9": 31, "3.10": 35}


def requirements(kind: Format, device: Board) -> tuple[str, ...]:
    """Return pip's lines for a file of this format.

    Raises:
        InputError: nothing runs such a file there.
    """
    if device.machine == "armv7l":
        if kind != "tflite":
            raise InputError(
                f"{kind.upper()} for a 32-bit system, where no runtime reads it",
                where=f"--target {device.name}",
                fix="export with --format tflite, or install a 64-bit system",
            )
        return _TFLITE_32
    if device.machine not in ("aarch64", "x86_64"):
        raise InputError(
            f"a machine of type {device.machine}",
            where=f"--target {device.name}",
            fix="choose a 64-bit ARM or x86 board",
        )
    return (*(_LITERT if kind == "tflite" else _ONNXRUNTIME), *_NUMPY, *_PILLOW)


def runtimes(kind: Format, device: Board) -> tuple[str, ...]:
    """Return the runtimes to try there, best first; see `board_model.choose_runtime`."""
    if kind != "tflite":
        return ("onnxruntime",)
    return ("tflite-runtime",) if device.machine == "armv7l" else ("litert", "tflite-runtime")


def chosen(lines: tuple[str, ...], python: str) -> list[str]:
    """Return the requirements that hold under a version of Python, such as "3.11"."""
    return [line.partition(";")[0] for line in lines if _applies(line, python)]


def download(lines: tuple[str, ...], device: Board, folder: Path, *, python: str) -> list[Path]:
    """Fetch the wheels of the requirements and of what they need, for an off-line board.

    Args:
        lines: See `requirements`.
        device: Whose wheels.
        folder: Where they go.
        python: The board's version of Python, one of `PYTHONS`.

    Raises:
        InputError: no network, or a wheel that doesn't exist for this Python.
    """
    glibc = _GLIBC.get(python, 36)
    platforms = [f"manylinux_2_{minor}_{device.machine}" for minor in range(17, glibc + 1)]
    platforms += [f"manylinux2014_{device.machine}", f"linux_{device.machine}"]
    # numpy has no 32-bit wheel: without its dependencies the rest can still be fetched.
    alone = ["--no-deps"] if device.machine == "armv7l" else []
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--dest", str(folder), "--only-binary=:all:", "--implementation", "cp"),
        *("--python-version", python, *alone),
        *(part for name in platforms for part in ("--platform", name)),
        *chosen(lines, python),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines_said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        said = (lines_said or ["pip failed"])[-1].removeprefix("ERROR: ")[:200]
        raise InputError(
            f"no wheels ({said})", where="--wheels", fix="check the network and --python"
        )
    return sorted(folder.glob("*.whl"))


def _applies(line: str, python: str) -> bool:
    """Tell whether a line's condition, if it has one, holds under this Python."""
    condition = line.partition(";")[2].split()
    if not condition:
        return True
    _, comparison, limit = condition
    here, there = _number(python), _number(limit.strip('"'))
    return {"<": here < there, "==": here == there, ">=": here >= there}[comparison]


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
