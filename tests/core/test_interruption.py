"""Ctrl-C at a moment at which Python drops it."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from edgecnn.core import interruption

DROPPED = """
import contextlib, os, signal, sys
from edgecnn.core import interruption, progress

class Closing:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass

with WHERE, progress.bar("working", total=2) as advance:
    Closing()
    try:
        advance()
    except KeyboardInterrupt:
        sys.exit(7)
"""


@pytest.mark.parametrize(
    ("where", "code"), [("interruption.listening()", 7), ("contextlib.nullcontext()", 0)]
)
def test_what_a_finalizer_drops_is_raised_at_the_next_step(where: str, code: int) -> None:
    command = [sys.executable, "-c", DROPPED.replace("WHERE", where)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == code, done.stderr


def test_who_ignores_ctrl_c_is_left_alone() -> None:
    earlier = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interruption.listening():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, earlier)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_both_signals_end_a_block_and_are_handled_as_before_after_it(number: int) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), interruption.listening():
        signal.raise_signal(number)
    assert signal.getsignal(number) is before
    with pytest.raises(KeyboardInterrupt):
        interruption.check()  # nobody asked until now: it is still remembered
    interruption.check()
