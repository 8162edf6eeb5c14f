"""This end of a session on a board: sends `board_agent` there, and asks it for work."""

from __future__ import annotations

import contextlib
import json
import queue
import shlex
import subprocess
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from edgecnn.core import interruption, progress
from edgecnn.core.errors import InputError
from edgecnn.targets import board_agent
from edgecnn.targets.inline import single_file
from edgecnn.targets.link import Link

_START = 'import sys;r=sys.stdin.buffer;exec(compile(r.read(int(r.readline())),"edgecnn","exec"))'
_LONGEST_LINE = 64_000_000


class Session:
    """A private folder on a board, and programs that run in it, as long as this is open.

    Attributes:
        folder: On the board; it goes with the session, even where the connection is cut.
    """

    def __init__(
        self,
        link: Link,
        python: str,
        *,
        title: str,
        silence_seconds: float = board_agent.SILENCE_SECONDS,
    ) -> None:
        """Start the agent.

        Args:
            link: Over which.
            python: Interpreter over there, 3.9 or newer.
            title: The target's name, for notes and errors.
            silence_seconds: After so long without a word either end gives the other up.

        Raises:
            InputError: it doesn't start there.
        """
        self._link, self.title, self._silence = link, title, silence_seconds
        self._lines: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._writing, self._closed = threading.Lock(), threading.Event()
        program = single_file(board_agent.__name__).encode()
        self._process = link.start(f"exec {shlex.quote(python)} -u -c '{_START}' {silence_seconds}")
        self._finalizer = weakref.finalize(self, _end, self._process, self._closed)
        reading = (self._process, self._lines)
        threading.Thread(target=_read, args=reading, daemon=True).start()
        self._write(b"%d\n%b" % (len(program), program))
        told = self._answer()
        pulse = (self._process, self._writing, self._closed, silence_seconds / board_agent.BEATS)
        threading.Thread(target=_beat, args=pulse, daemon=True).start()
        self.folder = PurePosixPath(told["folder"])

    def unpack(self, archive: bytes) -> None:
        """Unpack a tar.gz in the session's folder.

        Raises:
            InputError: no space, or the connection was cut.
        """
        self._ask("unpack", payload=archive)

    def unzip(self, source: str, to: str) -> None:
        """Unzip the wheels of one of the session's folders into another."""
        self._ask("wheels", source=source, to=to)

    def keep(self, source: str, name: str) -> str:
        """Move one of the session's folders to where it stays; returns its path."""
        return str(self._ask("keep", source=source, name=name)["path"])

    def sense(self) -> dict[str, Any]:
        """Return what the sensors say now; see `board_agent.sample`."""
        return self._ask("sense")

    def run(
        self,
        words: Sequence[str],
        *,
        folder: str = ".",
        environment: Mapping[str, str],
        seconds: float,
        exclusive: bool = True,
        input: str = "",
    ) -> dict[str, Any]:
        """Run a program there; see `board_agent.Agent.run` for what it returns.

        Args:
            words: The program and its arguments.
            folder: Of the session's, in which it starts.
            environment: Variables beside the login's own.
            seconds: After this it is killed.
            exclusive: Wait until nobody else measures on this board.
            input: Its standard input.
        """
        return self._ask(
            "run",
            words=list(words),
            cwd=folder,
            environment=dict(environment),
            seconds=seconds,
            exclusive=exclusive,
            input=input,
        )

    def close(self) -> None:
        """End the agent, which removes its folder; no error where it's already gone."""
        self._finalizer()

    def _ask(self, do: str, *, payload: bytes = b"", **more: Any) -> dict[str, Any]:
        head = {"do": do, "bytes": len(payload), **more}
        self._write(json.dumps(head).encode() + b"\n" + payload)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        while True:
            interruption.check()
            try:
                line = self._lines.get(timeout=self._silence)
            except queue.Empty:
                raise InputError(
                    f"no sign of life for {self._silence:.0f} s",
                    where=self.title,
                    fix="look whether the board is up, then run the same command again",
                ) from None
            if line is None:
                raise self._gone()
            if "note" in line:
                progress.say(f"{self.title}: {line['note']}")
            if "failed" in line:
                raise self._failure(line["failed"])
            if "done" in line:
                done: dict[str, Any] = line["done"]
                return done

    def _failure(self, told: Mapping[str, Any]) -> InputError:
        text = " ".join(str(told.get("text")).split())[:200]
        where = f"{self.title}:{told.get('folder', '')}".rstrip(":")
        if told.get("errno") in (28, 122):
            free = f", {told['free_mb']:.0f} MB free" if "free_mb" in told else ""
            return InputError(
                f"no space{free}",
                where=where,
                fix="free some there, or set TMPDIR in its ~/.profile to a folder with room",
            )
        return InputError(f"work that failed ({text})", where=where, fix="try it once more")

    def _gone(self) -> InputError:
        self._process.wait()
        if not self._link.alive:
            return self._link.cut()
        said = self._process.stderr.read() if self._process.stderr else b""
        last = (said.decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
        return InputError(
            f"an end without an answer ({last[:200]})",
            where=self.title,
            fix="look whether the board has memory left, then try again",
        )

    def _write(self, data: bytes) -> None:
        _send(self._process, self._writing, data)


# Threads know the process alone: a session that nobody holds any more ends.


def _read(
    process: subprocess.Popen[bytes], lines: queue.SimpleQueue[dict[str, Any] | None]
) -> None:
    with contextlib.suppress(OSError, ValueError):
        while process.stdout is not None and (line := process.stdout.readline(_LONGEST_LINE)):
            told = json.loads(line) if line.startswith(b"{") else {}
            lines.put(told if isinstance(told, dict) else {})
    lines.put(None)


def _send(process: subprocess.Popen[bytes], writing: threading.Lock, data: bytes) -> None:
    with writing, contextlib.suppress(OSError, ValueError):
        if process.stdin is not None:  # what can't be sent is found out by the missing answer
            process.stdin.write(data)
            process.stdin.flush()


def _beat(
    process: subprocess.Popen[bytes],
    writing: threading.Lock,
    closed: threading.Event,
    seconds: float,
) -> None:
    while not closed.wait(seconds):
        _send(process, writing, b"\n")


def _end(process: subprocess.Popen[bytes], closed: threading.Event) -> None:
    closed.set()
    with contextlib.suppress(OSError):
        if process.stdin is not None:
            process.stdin.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
