"""Latencies that others published, of networks that the zoo builds: plain data in `devices/`."""

from __future__ import annotations

import dataclasses
import functools
import json
import tomllib
from pathlib import Path
from typing import Any, Literal, TypeAlias

from edgecnn.bench.roofline import Load
from edgecnn.bench.work import Work
from edgecnn.core import schema, shipped

Computed: TypeAlias = Literal["float32", "float16", "int8"]
"""What a runtime computes in, whatever the file holds."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Published:
    """One latency.

    Attributes:
        network: As the zoo has it, at its own size, with 1,000 classes.
        ms: Of one inference.
    """

    network: str
    dtype: Computed
    threads: int
    ms: float
    source: str
    device: str
    runtime: Literal["xnnpack", "ncnn", "qnnpack"]
    clock_mhz: int

    @property
    def factor(self) -> str:
        """Names the kernels that ran: runtime and precision."""
        return f"{self.runtime} {self.dtype}"

    @property
    def load(self) -> Load:
        """What its network does."""
        return _load(self.network, "int8" if self.dtype == "int8" else "float32")


def folder() -> Path:
    """Return where the data lies."""
    return shipped.folder("devices") / "published"


@functools.cache
def published() -> tuple[Published, ...]:
    """Return all published latencies, in the order of the file."""
    path = folder() / "latencies.toml"
    groups = tomllib.loads(path.read_text(encoding="utf-8"))["group"]
    rows = [
        {**row, **{key: value for key, value in group.items() if key != "rows"}}
        for group in groups
        for row in group["rows"]
    ]
    return tuple(schema.decode(Published, row, where=path) for row in rows)


@functools.cache
def _networks() -> dict[str, Any]:
    networks: dict[str, Any] = json.loads((folder() / "networks.json").read_text(encoding="utf-8"))
    return networks


@functools.cache
def _load(network: str, dtype: Literal["float32", "int8"]) -> Load:
    operations = _networks()[network]["operations"]
    return Load.of(
        [Work(kind=kind, macs=macs, moved=moved, dtype=dtype) for kind, macs, moved in operations]
    )
