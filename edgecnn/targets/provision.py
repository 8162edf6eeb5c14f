"""An interpreter on a board with numpy and a runtime: one that is there, or brought along."""

from __future__ import annotations

import dataclasses
import io
import tarfile
import tempfile
from pathlib import Path

from edgecnn.core import progress
from edgecnn.core.artifact import Format
from edgecnn.core.errors import InputError
from edgecnn.targets import requirements
from edgecnn.targets.board import Board as Device
from edgecnn.targets.probe import OLDEST_PYTHON, Board, Interpreter
from edgecnn.targets.session import Session

# Seconds; a Zero 2 W with a slow card needs minutes for numpy.
_INSTALL_SECONDS = 1800


@dataclasses.dataclass(frozen=True)
class Environment:
    """How the runner is started.

    Attributes:
        python: The interpreter over there.
        variables: Environment variables that it needs.
    """

    python: str
    variables: dict[str, str]


def device_of(board: Board, name: str) -> Device:
    """Return a probed board as the bundle sees it."""
    title = board.facts.get("board") or board.facts.get("host") or name
    return Device(name, title, board.machine, board.cores)


def first_python(board: Board, *, where: str) -> Interpreter:
    """Return an interpreter that the session's own program runs in.

    Raises:
        InputError: there is none.
    """
    usable = [python for python in board.pythons if python.usable]
    if usable:
        return usable[0]
    oldest = ".".join(map(str, OLDEST_PYTHON))
    if board.pythons:
        seen = board.pythons[0]
        said = seen.problem or ".".join(map(str, seen.version))
        raise InputError(
            f"no Python {oldest} or newer ({seen.path}: {said})",
            where=where,
            fix="install a newer system: Raspberry Pi OS has had one since 2021",
        )
    if board.asked:
        raise InputError(f"no {board.asked}", where=where, fix="check --python")
    raise InputError("no Python", where=where, fix="sudo apt install python3")


def ready(board: Board, kind: Format, runtime: str | None) -> Environment | None:
    """Return an interpreter of the board that can run a format as it stands; None: none can.

    Args:
        board: Probed.
        kind: Of the file.
        runtime: The one that must be there. None: any that reads the format.
    """
    usable = [python for python in board.pythons if python.usable]
    for python in usable:
        found = python.runtime(kind)
        if found and (runtime is None or runtime in python.packages):
            return Environment(python.path, {})
    for python in usable:
        if family(kind) in python.kept and runtime in (None, "litert", "onnxruntime"):
            return Environment(python.path, {"PYTHONPATH": python.kept[family(kind)]})
    return None


def family(kind: Format) -> Format:
    """Return the format whose runtime reads this one."""
    return "tflite" if kind == "tflite" else "onnx"


def bring(session: Session, board: Board, kind: Format, *, keep: bool) -> Environment:
    """Carry packages to a board that has none for this format; they go with the session.

    Wheels are fetched here, since a board may have no network, no pip, no venv and a clock in
    1970; only where this machine can't does the board's own pip try.

    Args:
        session: Open on that board.
        board: Probed.
        kind: Of the file.
        keep: Leave them there for the next time, in ~/.edgecnn.

    Raises:
        InputError: nothing runs this format there, no wheels, or no space.
    """
    python = installable(board, kind, session.title)
    device = device_of(board, session.title)
    lines = requirements.requirements(kind, device)
    site = f"site-{family(kind)}"
    wanted = lines[0].partition("==")[0]
    with tempfile.TemporaryDirectory() as temporary:
        try:
            wheels = requirements.download(
                lines, device, Path(temporary) / "wheels", python=python.minor
            )
        except InputError as error:
            progress.say(f"{session.title}: no {wanted} there, and {error.what} here: its own pip")
            _install_there(session, python, lines, site, error)
        else:
            size = sum(wheel.stat().st_size for wheel in wheels) / 1e6
            progress.say(f"{session.title}: no {wanted} there: bringing it along, {size:.0f} MB")
            session.unpack(_packed(wheels))
            session.unzip("wheels", site)
    path = str(session.folder / site)
    if keep:
        path = session.keep(site, f"site-{python.minor}-{family(kind)}")
        progress.say(f"{session.title}: kept in {path} for the next time")
    return Environment(python.path, {"PYTHONPATH": path})


def installable(board: Board, kind: Format, title: str) -> Interpreter:
    """Return the interpreter that there are wheels for.

    Raises:
        InputError: there is none.
    """
    requirements.requirements(kind, device_of(board, title))  # a machine without any
    first_python(board, where=title)
    known = requirements.PYTHONS if board.machine != "armv7l" else ("3.9", "3.10", "3.11")
    fitting = [python for python in board.pythons if python.usable and python.minor in known]
    if not fitting:
        have = ", ".join(python.minor for python in board.pythons if python.usable)
        raise InputError(
            f"Python {have}, for which the runtime has no package",
            where=title,
            fix=f"install one of {', '.join(known)} beside it",
        )
    if "glibc" not in board.facts.get("libc", "glibc").lower():
        raise InputError(
            "a C library other than glibc, for which the runtime has no package",
            where=title,
            fix="use a system with glibc, such as Raspberry Pi OS",
        )
    python = fitting[0]
    if board.machine == "armv7l" and "numpy" not in python.packages:
        raise InputError(
            "no numpy, which has no package for 32 bits",
            where=title,
            fix="sudo apt install python3-numpy",
        )
    return python


def _install_there(
    session: Session, python: Interpreter, lines: tuple[str, ...], site: str, error: InputError
) -> None:
    if not python.pip:
        raise error
    words = (python.path, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    told = session.run(
        [*words, "--only-binary=:all:", "--target", site, *lines],
        environment={"PIP_RETRIES": "1", "PIP_DEFAULT_TIMEOUT": "15"},
        seconds=_INSTALL_SECONDS,
    )
    if told["code"]:
        said = [line for line in told["stderr"].splitlines() if line.startswith("ERROR")]
        last = (said or ["pip failed"])[-1].removeprefix("ERROR: ")[:200]
        raise InputError(
            f"{error.what} here, and none there ({last})",
            where=session.title,
            fix="give this machine or the board a network",
        )


def _packed(wheels: list[Path]) -> bytes:
    """Return wheels as a tar; they are compressed already."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for wheel in wheels:
            archive.add(wheel, f"wheels/{wheel.name}")
    return packed.getvalue()
