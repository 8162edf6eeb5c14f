"""Measure the float checkpoint itself, in TensorFlow: what its files are compared with."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from edgecnn import bench, targets
from edgecnn.bench import Job, Place
from edgecnn.core import checkpoint as checkpoints
from edgecnn.core.errors import InputError, MissingExtra
from edgecnn.core.measurement import Measurement
from edgecnn.flows.checkpoint_timing import RUNTIME
from edgecnn.targets.gpu import GpuPlace

_PROGRAM = "edgecnn.flows.checkpoint_timing"


@dataclasses.dataclass(frozen=True)
class _Program:
    """A place that runs another program there."""

    place: Place

    @property
    def name(self) -> str:
        return self.place.name

    def run(self, request: dict[str, Any], *, timeout_seconds: float) -> dict[str, Any]:
        asked = {**request, "program": _PROGRAM}
        return self.place.run(asked, timeout_seconds=timeout_seconds)


@dataclasses.dataclass(frozen=True)
class CheckpointTarget:
    """A target that measures ``model.keras`` of a checkpoint; satisfies `targets.Target`.

    Attributes:
        target: This machine's CPU or GPU.
    """

    target: targets.Target

    @property
    def place(self) -> Place:
        """Where the worker runs."""
        return _Program(self.target.place)

    def measure(self, job: Job) -> Measurement:
        """Measure one checkpoint; see `bench.measure`."""
        if not isinstance(self.target.place, (bench.ThisMachine, GpuPlace)):
            raise InputError(
                f"a checkpoint, which {self.place.name} can't run",
                where=job.path.parent,
                fix="export it, and measure the file",
            )
        card = checkpoints.read(job.path.parent).card
        try:
            row = bench.measure_network(job, runtime=RUNTIME, place=self.place)
        except MissingExtra:
            raise
        except InputError as error:
            row = bench.unmeasured(job, str(error), runtime=RUNTIME, place=self.place)
        return dataclasses.replace(row, model=card.name, scheme="float32", accuracy=job.accuracy)


def is_checkpoint(path: Path) -> bool:
    """Tell a checkpoint's folder from one with files."""
    return (path / checkpoints.CARD_FILE).is_file()
