"""An emulated board's SSH server and its client's configuration: loopback, keys of their own."""

from __future__ import annotations

import contextlib
import shutil
import socket
from pathlib import Path

from edgecnn.targets.emulated.program import run

USER = "pi"


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def write_keys(
    root: Path, folder: Path, host: str, port: int, variables: dict[str, str], *, more: str
) -> None:
    """Make keys for one board alone, and both sides' configuration.

    Args:
        root: The board's.
        folder: For the client's part.
        host: Its name for the client.
        port: On loopback.
        variables: Of each session; a client's own can't replace them.
        more: Lines of the server's configuration.
    """
    there = root / "etc/ssh"
    for path in (there / "ssh_host_ed25519_key", folder / "key"):
        path.unlink(missing_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "emulated", "-f", str(path)])
    shutil.copy(folder / "key.pub", there / "authorized_keys")
    (there / "authorized_keys").chmod(0o644)
    public = (there / "ssh_host_ed25519_key.pub").read_text("utf-8")
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {public}", encoding="utf-8")
    words = " ".join(f'{name}="{value}"' for name, value in variables.items())
    (there / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey /etc/ssh/ssh_host_ed25519_key\n"
        "PidFile none\nUsePAM no\nUseDNS no\nPasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\nPermitRootLogin no\nMaxStartups 50\n"
        f"AuthorizedKeysFile /etc/ssh/authorized_keys\n{more}AcceptEnv TMPDIR\n"
        f"SetEnv LANG=C.UTF-8 {words}\nSubsystem sftp internal-sftp\n",
        encoding="utf-8",
    )
    (folder / "ssh_config").write_text(
        f"Host {host}\n  HostName 127.0.0.1\n  Port {port}\n  User {USER}\n"
        f'  IdentityFile "{folder}/key"\n  IdentitiesOnly yes\n  IdentityAgent none\n'
        f'  UserKnownHostsFile "{folder}/known_hosts"\n  GlobalKnownHostsFile /dev/null\n'
        "  StrictHostKeyChecking yes\n  BatchMode yes\n  LogLevel ERROR\n",
        encoding="utf-8",
    )


def greets(port: int) -> bool:
    """Tell whether an SSH server answers there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as there:
        return there.recv(4) == b"SSH-"
    return False
