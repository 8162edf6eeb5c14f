"""A real SSH server on loopback that plays the board."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@dataclasses.dataclass
class Loopback:
    """A server of this test's own: its keys, its port, its configuration.

    Attributes:
        config: For ``ssh -F``; the host is named "board".
        folder: Keys, configurations, and `log`.
        process: The server.
    """

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def config(self) -> Path:
        return self.folder / "config"

    @property
    def options(self) -> tuple[str, str]:
        return ("-F", str(self.config))

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def sessions(self) -> list[int]:
        """Process ids of the server's children, which hold a connection each."""
        return children(self.process.pid)

    def silence(self) -> list[int]:
        """Stop each connection in mid-air, as a cable that is pulled; returns who to wake."""
        found = descendants_named(self.process.pid, "sshd")
        for pid in found:
            os.kill(pid, signal.SIGSTOP)
        return found

    def again(self) -> None:
        """Start the server that was cut."""
        self.process = start(self.folder, self.port)

    def cut(self) -> None:
        """Kill the server and each connection at once, as a board that loses its power."""
        for pid in [*descendants_named(self.process.pid, "sshd"), self.process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


def children(pid: int) -> list[int]:
    """Process ids of a process's children, of all its threads."""
    found = Path(f"/proc/{pid}/task").glob("*/children")
    texts = []
    for path in found:
        with contextlib.suppress(OSError):
            texts.append(path.read_text())
    return [int(word) for text in texts for word in text.split()]


def descendants_named(pid: int, name: str) -> list[int]:
    """Process ids below a process whose program has this name."""
    found = []
    for child in children(pid):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{child}/comm").read_text().strip() == name:
                found.append(child)
        found += descendants_named(child, name)
    return found


def key(path: Path) -> Path:
    words = ("-q", "-t", "ed25519", "-N", "", "-f", str(path))
    subprocess.run(["ssh-keygen", *words], check=True)
    return path


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def known(folder: Path, port: int, public: Path) -> None:
    """Write down the host's key as one that was accepted."""
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {public.read_text()}")


def start(folder: Path, port: int, *lines: str) -> subprocess.Popen[bytes]:
    """Start the server and wait until it listens."""
    settings = (
        f"ListenAddress 127.0.0.1:{port}",
        f"HostKey {folder / 'host'}",
        f"AuthorizedKeysFile {folder / 'authorized_keys'}",
        f"PidFile {folder / 'pid'}",
        *("UsePAM no", "UseDNS no", "StrictModes no", "PasswordAuthentication no"),
        *("KbdInteractiveAuthentication no", "AcceptEnv *", *lines),
    )
    (folder / "sshd_config").write_text("\n".join(settings) + "\n")
    Path("/run/sshd").mkdir(exist_ok=True)
    words = ("-D", "-f", str(folder / "sshd_config"), "-E", str(folder / "log"))
    process = subprocess.Popen([str(SSHD), *words], start_new_session=True)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return process
        time.sleep(0.02)
    process.kill()
    raise RuntimeError((folder / "log").read_text())


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Loopback]]:
    """A function that starts a server; the arguments are lines of sshd's configuration."""
    if SSHD is None or shutil.which("ssh") is None or os.geteuid() != 0:
        pytest.skip("no OpenSSH server, or not root: run tools/system-packages as root")
    made: list[Loopback] = []

    def begin(*lines: str) -> Loopback:
        folder, port = tmp_path_factory.mktemp("board"), free_port()
        key(folder / "host")
        shutil.copy(key(folder / "own").with_suffix(".pub"), folder / "authorized_keys")
        known(folder, port, folder / "host.pub")
        (folder / "config").write_text(
            f"Host board\n HostName 127.0.0.1\n Port {port}\n User root\n"
            f" IdentityFile {folder / 'own'}\n IdentitiesOnly yes\n IdentityAgent none\n"
            f" UserKnownHostsFile {folder / 'known_hosts'}\n GlobalKnownHostsFile /dev/null\n"
        )
        made.append(Loopback(folder, port, start(folder, port, *lines)))
        return made[-1]

    yield begin
    for board in made:
        board.cut()


@pytest.fixture(scope="session")
def loopback(serve: Callable[..., Loopback]) -> Loopback:
    """A board that works, for the tests that leave it as it is."""
    return serve()


@pytest.fixture
def bare_path(tmp_path: Path) -> Path:
    """A folder for PATH with what a bare system has, and no Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    names = "awk cat cut date df getconf head id mkdir printf readlink sed tail tar tr uname"
    for name in names.split():
        (folder / name).symlink_to(str(shutil.which(name)))
    return folder


@pytest.fixture(scope="session")
def program() -> Callable[[Path, str], None]:
    """A function that writes a shell script in the place of a program."""

    def write(path: Path, body: str) -> None:
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    return write
