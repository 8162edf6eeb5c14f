"""Which boards can be emulated, and what tells one from the other."""

from __future__ import annotations

import dataclasses

from edgecnn.core.errors import unknown
from edgecnn.targets import board
from edgecnn.targets.board import Board

PYTHON = "3.11"
"""Of Debian 12, which the boards run."""

# The ISA extensions that Linux names on such a board; doctor and cpuinfo libraries read them.
_ARMV8_0 = "fp asimd evtstrm crc32 cpuid"
_ARMV8_2 = (
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop "
    "asimddp"
)
_ARMV7 = "half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae evtstrm crc32"


@dataclasses.dataclass(frozen=True, kw_only=True)
class System:
    """A Debian and the emulator for it.

    Attributes:
        debian: Debian's name of the architecture.
        qemu: QEMU's.
        packages: Debian's packages on top of the essential ones.
        runtimes: Formats whose runtimes are installed from wheels.
        magic: ELF's header of such a program, and the mask: what the kernel sends to QEMU.
    """

    debian: str
    qemu: str
    packages: tuple[str, ...]
    runtimes: tuple[str, ...]
    magic: tuple[str, str]


_PACKAGES = ("python3", "python3-venv", "openssh-server", "ca-certificates", "rsync", "mawk")
_MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
_BITS_64 = System(
    debian="arm64",
    qemu="aarch64",
    packages=_PACKAGES,
    runtimes=("tflite", "onnx"),
    magic=(r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00", _MASK),
)
# No wheels of numpy and pillow exist for 32 bits; see `targets.requirements`.
_BITS_32 = System(
    debian="armhf",
    qemu="arm",
    packages=(*_PACKAGES, "python3-numpy", "python3-pil"),
    runtimes=("tflite",),
    magic=(r"\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x28\x00", _MASK),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmulatedBoard:
    """One board.

    Attributes:
        name: After ``emulated:``.
        profile: Its name in ``devices/``, with "-32bit" for a 32-bit system.
        system: What it runs.
        qemu_cpu: QEMU's model of its core: it decides which kernels the runtimes choose.
        part: The core's number in /proc/cpuinfo.
        features: Its instruction sets there.
        model: As its device tree has it.
        revision: The board's code in /proc/cpuinfo.
        soc: Likewise.
        memory_mb: 1e6 bytes.
        clock_mhz: At full speed.
    """

    name: str
    profile: str
    system: System
    qemu_cpu: str
    part: str
    features: str
    model: str
    revision: str
    soc: str
    memory_mb: int
    clock_mhz: int

    @property
    def target(self) -> str:
        """The target's name, as it stands in rows."""
        return f"emulated:{self.name}"

    @property
    def board(self) -> Board:
        """The board as bundles know it."""
        return board.find(self.profile)


# Revision codes: raspberrypi/documentation, revision-codes.adoc.
BOARDS = {
    one.name: one
    for one in (
        EmulatedBoard(
            name="pi4",
            profile="raspberry-pi-4",
            system=_BITS_64,
            qemu_cpu="cortex-a72",
            part="0xd08",
            features=_ARMV8_0,
            model="Raspberry Pi 4 Model B Rev 1.4",
            revision="c03114",
            soc="BCM2711",
            memory_mb=4000,
            clock_mhz=1500,
        ),
        EmulatedBoard(
            name="pi5",
            profile="raspberry-pi-5",
            system=_BITS_64,
            qemu_cpu="cortex-a76",
            part="0xd0b",
            features=_ARMV8_2,
            model="Raspberry Pi 5 Model B Rev 1.0",
            revision="d04170",
            soc="BCM2712",
            memory_mb=8000,
            clock_mhz=2400,
        ),
        EmulatedBoard(
            name="pi-zero2w",
            profile="raspberry-pi-zero-2-w",
            system=_BITS_64,
            qemu_cpu="cortex-a53",
            part="0xd03",
            features=_ARMV8_0,
            model="Raspberry Pi Zero 2 W Rev 1.0",
            revision="902120",
            soc="BCM2835",
            memory_mb=500,
            clock_mhz=1000,
        ),
        EmulatedBoard(
            name="pi3-32bit",
            profile="raspberry-pi-3b-plus-32bit",
            system=_BITS_32,
            # QEMU's 32-bit mode knows no A53; the A7 has the same instructions of ARMv7.
            qemu_cpu="cortex-a7",
            part="0xd03",
            features=_ARMV7,
            model="Raspberry Pi 3 Model B Plus Rev 1.3",
            revision="a020d3",
            soc="BCM2835",
            memory_mb=1000,
            clock_mhz=1400,
        ),
    )
}


def find(name: str) -> EmulatedBoard:
    """Return the board of this name.

    Raises:
        InputError: no such board.
    """
    if name not in BOARDS:
        raise unknown("emulated board", name, BOARDS, where="--target emulated")
    return BOARDS[name]
