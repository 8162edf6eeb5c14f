"""Everything that can go wrong, on one page.

EdgecnnError
├── InputError         exit 2: the input or the environment is unusable
│   └── MissingExtra   exit 2: an optional package is not installed
├── CheckFailed        exit 1: a check or gate that the user asked for did not hold
└── Interrupted        exit 3: stopped by the user, can be resumed
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar


class EdgecnnError(Exception):
    """Base of all errors that the command line turns into one line and an exit code."""

    exit_code: ClassVar[int] = 2


class InputError(EdgecnnError):
    """Unusable input: what is wrong, where, and what to do about it."""

    def __init__(self, what: str, *, where: str | Path, fix: str) -> None:
        super().__init__(f"{what} in {where}: {fix}")
        self.what = what
        self.where = str(where)
        self.fix = fix


class MissingExtra(InputError):
    """An optional package is absent: the message says which ``pip install`` brings it."""

    def __init__(self, task: str, extra: str) -> None:
        super().__init__(
            f"{task} needs a package that is not installed",
            where="this environment",
            fix=f"pip install 'edgecnn[{extra}]'",
        )
        self.extra = extra


class CheckFailed(EdgecnnError):
    """A limit that the user set does not hold."""

    exit_code: ClassVar[int] = 1


class Interrupted(EdgecnnError):
    """Ctrl-C or a termination signal; the message says how to go on."""

    exit_code: ClassVar[int] = 3


def unknown(kind: str, name: str, known: Iterable[str], *, where: str) -> InputError:
    """Build the error for a name that is not in a registry; it offers the nearest one."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    fix = f"try {near[0]}" if near else f"choose one of {', '.join(names)}"
    return InputError(f"no {kind} {name!r}", where=where, fix=fix)
