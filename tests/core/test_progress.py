from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from edgecnn.core import progress

_WORK = """
from edgecnn.core import progress
import sys
progress.QUIET.set("quiet" in sys.argv)
with progress.bar("photos [/red]", total=3) as advance:
    advance()
    advance(2, note="class [/b] [bold]x")
progress.say("done")
"""


def on_a_terminal(*arguments: str) -> tuple[int, str]:
    """Run some work whose stderr is a terminal; return its exit code and what was shown."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    done = subprocess.run(
        [sys.executable, "-c", _WORK, *arguments],
        stderr=theirs,
        stdout=subprocess.PIPE,
        env=environment,
        check=False,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            chunk = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        shown += chunk
    os.close(ours)
    assert done.stdout == b""
    return done.returncode, shown.decode()


def test_a_terminal_shows_a_bar_with_names_as_they_are() -> None:
    code, shown = on_a_terminal()
    assert code == 0
    assert "photos [/red]" in shown
    assert "class [/b] [bold]x" in shown
    assert "3/3" in shown


def test_quiet_means_nothing_at_all() -> None:
    assert on_a_terminal("quiet") == (0, "")


def test_a_pipe_gets_notes_and_no_bar() -> None:
    done = subprocess.run([sys.executable, "-c", _WORK], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "done\n")


def test_a_pipe_does_not_load_the_bar() -> None:
    code = f"{_WORK}\nassert 'rich' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_note_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    progress.say("3 photos could not be read")
    assert capsys.readouterr().err == "3 photos could not be read\n"
