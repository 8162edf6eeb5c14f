"""One SSH connection to a board, by the user's own OpenSSH, over which commands run.

Configuration, keys, agent and jump hosts are the user's; no password is asked or kept. One
process holds the connection and ends with ours, however that ends; commands share it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from edgecnn.core.errors import InputError
from edgecnn.targets.host import check_host
from edgecnn.targets.link_errors import cut, refusal

# A Unix socket's path holds 108 bytes, of which ssh takes 17 for a name of its own.
_LONGEST_FOLDER = 70
_READY = b"edgecnn-ready"
# Whoever has nothing to say for 30 s is gone: a board that computes still answers this.
_OPTIONS = {
    "BatchMode": "yes",
    "ClearAllForwardings": "yes",
    "ConnectTimeout": "15",
    "ControlPersist": "no",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "LogLevel": "ERROR",
    "PermitLocalCommand": "no",
    "RemoteCommand": "none",
    "RequestTTY": "no",
    "ServerAliveCountMax": "6",
    "ServerAliveInterval": "5",
}


@dataclasses.dataclass(frozen=True)
class Done:
    """What a command over there left behind."""

    code: int
    stdout: bytes
    stderr: bytes


class Link:
    """An open connection.

    Attributes:
        host: As the user wrote it.
    """

    def __init__(
        self, host: str, *, options: Sequence[str] = (), patience_seconds: float = 60
    ) -> None:
        """Connect.

        Args:
            host: ``[user@]host``, or a name of the user's ssh configuration.
            options: More of ssh's own, such as ``-F FILE``.
            patience_seconds: A login that runs no command by then has failed.

        Raises:
            InputError: no ssh here, no such host, a refused key, an unknown or changed host
                key: each with what to do.
        """
        self.host = check_host(host)
        program = shutil.which("ssh")
        if program is None:
            raise InputError(
                "no ssh program", where="this machine", fix="install it (openssh-client)"
            )
        folder = _private_folder()
        self._ssh = [program, *options, "-S", str(folder / "s"), *_as_options(_OPTIONS)]
        self._errors = folder / "errors"
        with self._errors.open("wb") as errors:
            # The connection ends when this `cat` does, and that when its input does.
            self._master = subprocess.Popen(
                [*self._ssh, "-o", "ControlMaster=yes", "--", host, f"echo {_READY.decode()}; cat"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=_environment(),
                start_new_session=True,
            )
        self._finalizer = weakref.finalize(self, _end, self._master, folder)
        impatience = threading.Timer(patience_seconds, self._master.kill)
        impatience.start()
        try:
            self._wait()
        finally:
            impatience.cancel()

    def _wait(self) -> None:
        output = self._master.stdout
        # A login script may print lines of its own before ours.
        while output is not None and (line := output.readline()):
            if line.strip() == _READY:
                return
        if self._master.wait() == -signal.SIGKILL:
            self.close()
            raise InputError(
                "a login that runs no command",
                where=f"ssh:{self.host}",
                fix=f"let ssh {self.host} true come to an end",
            )
        said = self._errors.read_text(errors="replace")
        self.close()
        raise refusal(self.host, said)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, command: str) -> subprocess.Popen[bytes]:
        """Start a command over there, with pipes at its three ends.

        It must end by itself when its standard input does: ssh kills nothing over there.
        """
        self._require()
        return subprocess.Popen(
            self.client(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(),
            start_new_session=True,
        )

    def client(self, command: str) -> list[str]:
        """Return the words that run a command over this connection, and over no new one."""
        shared = {"ControlMaster": "no", "ProxyCommand": "false"}
        # ProxyCommand before what the user's configuration says: the first one counts.
        return [*self._ssh, *_as_options(shared), "--", self.host, command]

    def run(self, command: str, *, input: bytes = b"", timeout: float = 60) -> Done:
        """Run a command of the board's shell, and wait for it.

        Args:
            command: A line that each shell reads alike; `shlex.quote` what isn't yours.
            input: Its standard input.
            timeout: Seconds. The command over there gets an end of its input then.

        Raises:
            InputError: the connection was cut, or no end in time.
        """
        with self.start(command) as process:
            try:
                stdout, stderr = process.communicate(input, timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise InputError(
                    f"no answer within {timeout:.0f} s",
                    where=f"ssh:{self.host}",
                    fix="look whether the board is busy, and try again",
                ) from None
        if process.returncode == 255 and not self.alive:
            raise self.cut()
        return Done(process.returncode, stdout, stderr)

    def put(self, archive: bytes, folder: str, *, timeout: float = 600) -> None:
        """Unpack a tar.gz into a folder over there, which is made; only `tar` is needed.

        Raises:
            InputError: the connection was cut, or the folder can't be written.
        """
        where = shlex.quote(folder)
        done = self.run(f"mkdir -p {where} && tar -xzf - -C {where}", input=archive,
                        timeout=timeout)  # fmt: skip
        if done.code:
            said = (done.stderr.decode(errors="replace").strip().splitlines() or ["?"])[-1]
            raise InputError(
                f"a folder that takes no files ({said[:200]})",
                where=f"ssh:{self.host}:{folder}",
                fix="free some space there",
            )

    @property
    def alive(self) -> bool:
        """Whether the connection stands; one that was just cut is waited for."""
        if self._master.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._master.wait(0.5)
        return self._master.poll() is None

    def cut(self) -> InputError:
        """Build the error for a connection that ended before its time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._master.wait(2)
        try:
            said = self._errors.read_text(errors="replace")
        except OSError:
            said = ""
        return cut(self.host, said)

    def _require(self) -> None:
        if self._master.poll() is not None:
            raise self.cut()

    def close(self) -> None:
        """End the connection; what still runs over it gets an end of its input."""
        self._finalizer()


def _private_folder() -> Path:
    usual = tempfile.gettempdir()
    place = usual if len(os.fsencode(usual)) < _LONGEST_FOLDER else "/tmp"  # noqa: S108 - mkdtemp
    return Path(tempfile.mkdtemp(prefix="edgecnn-", dir=place))


def _as_options(named: dict[str, str]) -> list[str]:
    return [word for name, value in named.items() for word in ("-o", f"{name}={value}")]


def _environment() -> dict[str, str]:
    """Return ours with messages in English: they are read."""
    return {**os.environ, "LC_ALL": "C"}


def _end(master: subprocess.Popen[bytes], folder: Path) -> None:
    for pipe in (master.stdin, master.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    for patience, give_up in ((5.0, master.terminate), (2.0, master.kill)):
        try:
            master.wait(patience)
            break
        except subprocess.TimeoutExpired:
            give_up()
    shutil.rmtree(folder, ignore_errors=True)
