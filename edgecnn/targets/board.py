"""The boards that have a profile in ``devices/``, and the short names that people give them."""

from __future__ import annotations

import dataclasses
import platform
import tomllib

from edgecnn.core import shipped
from edgecnn.core.errors import unknown

SHORT_NAMES = {
    "pi3": "raspberry-pi-3b-plus",
    "pi4": "raspberry-pi-4",
    "pi5": "raspberry-pi-5",
    "pi-zero2w": "raspberry-pi-zero-2-w",
}
THIS = "this"
BITS_32 = "-32bit"
"""At the end of a Raspberry Pi's name: with a 32-bit system."""


@dataclasses.dataclass(frozen=True)
class Board:
    """A board, as far as choosing software for it goes.

    Attributes:
        name: Of its profile; "this" for the machine at hand.
        title: For people.
        machine: What ``uname -m`` says there: aarch64, armv7l or x86_64.
        cores: Of its CPU; 0 where the profile leaves it open.
    """

    name: str
    title: str
    machine: str
    cores: int = 0


def find(name: str) -> Board:
    """Return the device of this name or short name.

    Raises:
        InputError: no such device.
    """
    if name == THIS:
        return Board(THIS, platform.node() or "this machine", platform.machine())
    plain = name.removesuffix(BITS_32)
    profiles = {path.stem: path for path in shipped.folder("devices").glob("*.toml")}
    path = profiles.get(SHORT_NAMES.get(plain, plain))
    if path is None:
        raise unknown("device", name, [*SHORT_NAMES, *profiles, THIS], where="--target")
    profile = tomllib.loads(path.read_text(encoding="utf-8"))
    cpu = profile["cpu"]
    machine, title = cpu["arch"], profile["title"]
    if plain != name:
        if machine != "aarch64":
            raise unknown("device", name, [*SHORT_NAMES, *profiles, THIS], where="--target")
        machine, title = "armv7l", f"{title}, 32-bit system"
    return Board(path.stem + name[len(plain) :], title, machine, cpu.get("cores", 0))
