"""For whom a bundle is: a board that has a profile in ``devices/``, or this machine."""

from __future__ import annotations

import dataclasses
import platform

from edgecnn.core.device import devices, find_device
from edgecnn.core.errors import unknown

THIS = "this"
BITS_32 = "-32bit"
"""At the end of a Raspberry Pi's name: with a 32-bit system."""

_WHERE = "--target"


@dataclasses.dataclass(frozen=True)
class Board:
    """A machine, as far as choosing software for it goes.

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
    """Return the board of this name or short name.

    Raises:
        InputError: no such device.
    """
    if name == THIS:
        return Board(THIS, platform.node() or "this machine", platform.machine())
    plain = name.removesuffix(BITS_32)
    profile = find_device(plain, where=_WHERE)
    cores = profile.cpu.cores or 0
    if plain == name:
        return Board(profile.name, profile.title, profile.cpu.arch, cores)
    if profile.cpu.arch != "aarch64":
        raise unknown("device", name, [*devices(), THIS], where=_WHERE)
    return Board(profile.name + BITS_32, f"{profile.title}, 32-bit system", "armv7l", cores)
