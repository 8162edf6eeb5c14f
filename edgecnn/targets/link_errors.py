"""What ssh says when it can't connect, as one line that says what to do."""

from __future__ import annotations

from edgecnn.core.errors import InputError

# A part of ssh's message: what it means, what to do. The first that is found counts; {host} is
# as the user wrote it, {name} without the user.
_KNOWN = (
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "another host key than before",
        "if the board was set up anew: ssh-keygen -R {name}, then ssh {host} and compare the "
        "fingerprint; if it wasn't, somebody may be in between",
    ),
    (
        "Host key verification failed",
        "a host key that nobody has accepted yet",
        "connect once by hand, compare the fingerprint and say yes: ssh {host}",
    ),
    (
        "UNPROTECTED PRIVATE KEY FILE",
        "a private key that others can read",
        "chmod 600 that key; ssh -v {host} names it",
    ),
    (
        "Permission denied",
        "no key of yours that the board takes",
        "ssh-copy-id {host} puts one there; a key with a passphrase needs ssh-add first",
    ),
    (
        "Too many authentication failures",
        "more keys than the board tries",
        "name the right one in ~/.ssh/config: IdentityFile, IdentitiesOnly yes",
    ),
    (
        "Could not resolve hostname",
        "no host of this name",
        "check the name, or use the address; boards of a local network answer to NAME.local",
    ),
    (
        "Connection refused",
        "a machine without an SSH server",
        "turn it on there (sudo raspi-config, Interface Options, SSH), or check the port",
    ),
    ("No route to host", "no way to the board", "check its power and network: ping {name}"),
    ("Network is unreachable", "no way to the board", "check the network of this machine"),
    ("timed out", "no answer", "check its power, network and firewall: ping {name}"),
    (
        "Bad configuration option",
        "a line in ssh's configuration that ssh doesn't know",
        "repair it; ssh {host} shows it",
    ),
    (
        "Bad owner or permissions",
        "a file of ssh's configuration that others can write",
        "chmod 600 ~/.ssh/config",
    ),
)


def refusal(host: str, said: str) -> InputError:
    """Build the error for a connection that didn't come about.

    Args:
        host: As the user wrote it.
        said: What ssh printed, in English.
    """
    name = host.rpartition("@")[2]
    for mark, what, fix in _KNOWN:
        if mark in said:
            return InputError(what, where=f"ssh:{host}", fix=fix.format(host=host, name=name))
    return InputError(
        f"no connection ({_last(said) or 'ssh said nothing'})",
        where=f"ssh:{host}",
        fix=f"try it by hand: ssh {host}",
    )


def cut(host: str, said: str) -> InputError:
    """Build the error for a connection that ended while something ran over it."""
    last = _last(said)
    return InputError(
        f"a connection that was cut{f' ({last})' if last else ''}",
        where=f"ssh:{host}",
        fix="look whether the board is up, then run the same command again; "
        "what ran there ends by itself",
    )


def _last(said: str) -> str:
    """Return the last line that isn't decoration, no longer than a line."""
    lines = [line.strip() for line in said.splitlines() if line.strip(" @\r\t")]
    return lines[-1][:200] if lines else ""
