"""What a board is and has, as a small script tells that any POSIX shell runs."""

from __future__ import annotations

import dataclasses
import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

from edgecnn.core.artifact import Format
from edgecnn.core.errors import InputError
from edgecnn.targets.link import Link

SCRIPT = (Path(__file__).parent / "board_files" / "probe.sh").read_text(encoding="utf-8")
OLDEST_PYTHON = (3, 9)
RUNTIMES_OF: dict[str, tuple[str, ...]] = {
    "tflite": ("litert", "tflite-runtime"),
    "onnx": ("onnxruntime",),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Interpreter:
    """A Python that is there.

    Attributes:
        path: Its command.
        version: Such as (3, 11, 2); empty where it doesn't start.
        problem: What it said instead of starting.
        bits: Of its pointers.
        packages: Version of numpy and of each runtime that it finds.
        kept: Folders of packages that an earlier ``--keep`` left, by format.
        pip, venv: Whether it can install, and make environments.
    """

    path: str
    version: tuple[int, ...] = ()
    problem: str = ""
    bits: int = 0
    packages: dict[str, str] = dataclasses.field(default_factory=dict)
    kept: dict[str, str] = dataclasses.field(default_factory=dict)
    pip: bool = False
    venv: bool = False

    @property
    def usable(self) -> bool:
        """Whether it's new enough for what runs on a board."""
        return self.version >= OLDEST_PYTHON

    @property
    def minor(self) -> str:
        """The version as wheels know it, such as "3.11"."""
        return ".".join(map(str, self.version[:2]))

    def runtime(self, kind: Format) -> str | None:
        """Return the runtime that it has for a format, with numpy beside it."""
        names = RUNTIMES_OF["tflite" if kind == "tflite" else "onnx"]
        found = next((name for name in names if name in self.packages), None)
        return found if "numpy" in self.packages else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Board:
    """What the script told; what the board doesn't tell is empty or None.

    Attributes:
        facts: Each line, as text.
        pythons: Each interpreter, the system's own first.
        asked: The only interpreter that was looked at; empty where all were.
    """

    facts: dict[str, str]
    pythons: tuple[Interpreter, ...]
    asked: str = ""

    def number(self, name: str) -> float | None:
        """Return a fact that is a number."""
        try:
            return float(self.facts.get(name, ""))
        except ValueError:
            return None

    @property
    def machine(self) -> str:
        """What programs there are built for, as ``uname -m`` says it.

        A 32-bit system may have a 64-bit kernel, as Raspberry Pi OS does.
        """
        told = self.facts.get("machine", "")
        bits = self.facts.get("bits") or next((str(p.bits) for p in self.pythons if p.bits), "")
        return {"aarch64": "armv7l", "x86_64": "i686"}.get(told, told) if bits == "32" else told

    @property
    def cores(self) -> int:
        """How many; 0 where it isn't told."""
        return int(self.number("cores") or 0)

    @property
    def throttled(self) -> int | None:
        """The Raspberry Pi firmware's bits; None elsewhere."""
        try:
            return int(self.facts.get("throttled", ""), 16)
        except ValueError:
            return None


def probe(link: Link, python: str | None = None) -> Board:
    """Ask a board over a connection.

    Args:
        link: Open.
        python: The only interpreter to look at. None: those that a system has.

    Raises:
        InputError: the connection was cut, or there's no POSIX shell.
    """
    named = f" {shlex.quote(python)}" if python else ""
    done = link.run(f"/bin/sh -s --{named}", input=SCRIPT.encode(), timeout=90)
    board = read(done.stdout.decode(errors="replace"), where=f"ssh:{link.host}")
    return dataclasses.replace(board, asked=python or "")


def probe_here(python: Path) -> Board:
    """Ask this machine, with regard to one interpreter."""
    done = subprocess.run(
        ["/bin/sh", "-s", "--", str(python)],
        input=SCRIPT,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    return dataclasses.replace(read(done.stdout, where="this machine"), asked=str(python))


def read(text: str, *, where: str) -> Board:
    """Read what the script printed.

    Raises:
        InputError: it didn't come to its end.
    """
    facts: dict[str, str] = {}
    pythons: dict[str, Interpreter] = {}
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if key == "python":
            path, _, told = value.partition("\t")
            pythons[path] = _interpreter(path, told)
        elif key.isidentifier():
            facts[key] = value.strip()
    if "end" not in facts:
        raise InputError(
            "a shell that doesn't run a small script", where=where, fix="give it a POSIX sh"
        )
    return Board(facts=facts, pythons=tuple(pythons.values()))


def _interpreter(path: str, told: str) -> Interpreter:
    try:
        about: dict[str, Any] = json.loads(told)
        version = tuple(int(part) for part in about["version"].split("."))
        return Interpreter(
            path=path,
            version=version,
            bits=int(about["bits"]),
            packages={
                name: str(about[name])
                for name in ("numpy", "litert", "tflite-runtime", "onnxruntime")
                if about.get(name)
            },
            kept={str(kind): str(place) for kind, place in about["kept"].items()},
            pip=bool(about["pip"]),
            venv=bool(about["venv"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return Interpreter(path=path, problem=" ".join(told.split())[:200] or "no answer")
