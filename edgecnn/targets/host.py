"""The name of a machine as ssh takes it."""

from __future__ import annotations

import re

from edgecnn.core.errors import InputError

# A name, or an address; two colons make it one of IPv6, one would be a port.
_HOST = re.compile(r"([\w.][\w.-]*@)?([\w.][\w.-]*|[\dA-Fa-f]*:[\dA-Fa-f]*:[\w:.%-]*)")


def check_host(host: str) -> str:
    """Return a host as the user wrote it, ``[user@]host``: nothing that ssh takes for an option.

    Raises:
        InputError: it's none.
    """
    if not _HOST.fullmatch(host):
        raise InputError(
            f"{host!r}, which is no [user@]host",
            where=f"--target ssh:{host}",
            fix="write it as for ssh, such as ssh:pi@raspberrypi.local; "
            "a port goes into ~/.ssh/config",
        )
    return host
