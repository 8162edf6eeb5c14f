"""What a target offers, and the target that a user's text names."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Protocol

from edgecnn.bench import Job, Place
from edgecnn.core import errors
from edgecnn.core.errors import InputError
from edgecnn.core.measurement import Measurement
from edgecnn.targets.cpu import CpuTarget
from edgecnn.targets.emulated.target import emulated
from edgecnn.targets.gpu import GpuTarget
from edgecnn.targets.predicted import predicted
from edgecnn.targets.ssh import SshTarget

KINDS = ("cpu", "gpu", "ssh", "emulated", "predicted")
"""Kinds of target that the command line knows; what follows a colon names one of a kind."""


class Target(Protocol):
    """Somewhere files are measured."""

    @property
    def place(self) -> Place:
        """Where the worker runs; its name stands in the rows."""
        ...

    def measure(self, job: Job) -> Measurement:
        """Measure one file there; see `bench.measure`."""
        ...


def parse(text: str, *, python: Path | None = None, keep: bool = False) -> Target:
    """Return the target that a text like ``cpu`` or ``ssh:pi@board`` names.

    Args:
        text: What the user gave as ``--target``.
        python: The interpreter that has the runtime, here or on the board. None: this one; the
            board's first that has it.
        keep: Leave what goes to a board there, for the next time.

    Raises:
        InputError: no such target.
    """
    kind, _, name = text.partition(":")
    if text in ("cpu", "gpu"):
        here = python or Path(sys.executable)
        return CpuTarget(here) if kind == "cpu" else GpuTarget(here)
    if kind == "predicted" and name:
        return predicted(name)
    if kind == "emulated" and name:
        return emulated(name)
    if kind == "ssh" and name:
        return SshTarget(name, python=str(python) if python else None, keep=keep)
    if kind not in KINDS or kind == "cpu":
        raise errors.unknown("target", text, KINDS, where="--target")
    named = {"gpu": "gpu", "ssh": "ssh:pi@raspberrypi.local"}
    fix = f"write it as {named.get(kind, f'{kind}:pi4')}"
    raise InputError(f"target {text!r}", where="--target", fix=fix)
