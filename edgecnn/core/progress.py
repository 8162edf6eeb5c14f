"""Progress of long work: a bar on a terminal, silence in a pipe."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar

from edgecnn.core import interruption

QUIET: ContextVar[bool] = ContextVar("QUIET", default=False)
"""True after ``--quiet``: no bar and no note, even on a terminal."""

Advance = Callable[..., None]
"""Call with the number of finished units, and optionally ``note=`` for a short status."""


@contextlib.contextmanager
def bar(label: str, *, total: int) -> Iterator[Advance]:
    """Show a bar on stderr while the block runs; yields the function that moves it.

    Each step raises a KeyboardInterrupt that was dropped.

    Args:
        label: What is being done, a few words.
        total: Number of units of work.
    """
    if QUIET.get() or not sys.stderr.isatty():
        yield lambda count=1, note="": interruption.check()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    # Labels and notes hold names of files and classes, which may look like rich's markup.
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=total, note="")

        def advance(count: int = 1, note: str | None = None) -> None:
            interruption.check()
            if note is None:
                progress.update(task, advance=count)
            else:
                progress.update(task, advance=count, note=note)

        yield advance


def say(text: str) -> None:
    """Print a note for people on stderr, unless ``--quiet``."""
    if not QUIET.get():
        sys.stderr.write(text + "\n")
