"""Silence for native code that prints to stderr by itself."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keep native code's notes off stderr; they can't be switched off otherwise.

    The whole process's stderr goes nowhere while the block runs, so the block should be
    short; exceptions pass as ever.
    """
    with contextlib.ExitStack() as stack:
        try:
            saved = os.dup(2)
        except OSError:  # there is no stderr to keep clean
            yield
            return
        stack.callback(os.close, saved)
        if sys.stderr is not None:
            sys.stderr.flush()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        os.close(null)
        stack.callback(os.dup2, saved, 2)
        if sys.stderr is not None:
            stack.callback(sys.stderr.flush)
        yield
