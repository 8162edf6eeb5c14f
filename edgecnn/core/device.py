"""A board as `devices/` describes it: facts with their sources, read strictly."""

from __future__ import annotations

import dataclasses
import functools
import tomllib
from pathlib import Path

from edgecnn.core import schema, shipped
from edgecnn.core.errors import InputError, unknown


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cpu:
    """Cores; a kind of machine, such as "any PC", leaves out what its members differ in.

    Attributes:
        arch: As ``uname -m`` has it.
        features: Instruction sets, as Linux names them in /proc/cpuinfo.
        clock_mhz: At which it computes unless it is hot.
        boost_mhz: What some revisions reach.
        in_order: It runs instructions in their order, and waits where one waits.
    """

    arch: str
    features: tuple[str, ...]
    source: str
    soc: str = ""
    core: str = ""
    cores: int | None = None
    clock_mhz: int | None = None
    boost_mhz: int | None = None
    isa: str = ""
    in_order: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cache:
    """Sizes of the caches, KiB."""

    l1d_kb: int
    l1i_kb: int
    source: str
    l2_kb_shared: int | None = None
    l2_kb_per_core: int | None = None
    l3_kb: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ram:
    """Main memory; what was measured is least and most of several runs, with one thread."""

    sizes_gb: tuple[float, ...]
    memcpy_gb_per_s: tuple[float, float]
    source: str
    kind: str = ""
    peak_gb_per_s: float | None = None
    read_gb_per_s: tuple[float, float] | None = None
    stream_triad_gb_per_s: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compute:
    """Operations a second of all cores at the clock of `Cpu`, 1e9; a multiply-add is two.

    Attributes:
        peak_fp16_gflops: None where the cores have no arithmetic of 16 bits.
        peak_int8_gops: None where the cores have no dot product of bytes.
    """

    peak_fp32_gflops: float
    source: str
    peak_fp16_gflops: float | None = None
    peak_int8_gops: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Thermal:
    """Degrees Celsius at which the clock falls."""

    throttle_c: tuple[float, ...]
    source: str
    soft_limit_c: float | None = None
    soft_limit_clock_mhz: int | None = None
    fan_steps_c: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Power:
    """Watts of the whole board."""

    idle_w: float
    stress_w: float
    source: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Device:
    """One profile.

    Attributes:
        name: The profile's file without its ending.
        aliases: Shorter names that a target takes.
        cache, memory, compute, thermal, power: None where the machine itself has to tell.
    """

    name: str
    title: str
    summary: str
    cpu: Cpu
    aliases: tuple[str, ...] = ()
    cache: Cache | None = None
    memory: Ram | None = None
    compute: Compute | None = None
    thermal: Thermal | None = None
    power: Power | None = None

    def __post_init__(self) -> None:
        parts = (self.cpu, self.cache, self.memory, self.compute, self.thermal, self.power)
        if any(part is not None and not part.source for part in parts):
            raise ValueError("a table without its source")
        if self.compute and not (self.cpu.cores and self.cpu.clock_mhz and self.memory):
            raise ValueError("a peak without cores, clock and memory")


def read_device(path: Path) -> Device:
    """Read a profile.

    Raises:
        InputError: no TOML, or a key that is missing, unknown or of the wrong type.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"no TOML ({error})", where=path, fix="repair the profile") from error
    return schema.decode(Device, {"name": path.stem, **data}, where=path)


@functools.cache
def devices() -> dict[str, Device]:
    """Return all profiles that ship with the package, by name."""
    paths = sorted(shipped.folder("devices").glob("*.toml"))
    return {path.stem: read_device(path) for path in paths}


def find_device(name: str, *, where: str) -> Device:
    """Return the profile of a name or an alias, such as "pi4".

    Raises:
        InputError: there is none; the nearest name is offered.
    """
    named = devices()
    named = named | {alias: device for device in named.values() for alias in device.aliases}
    if name not in named:
        raise unknown("device", name, named, where=where)
    return named[name]
