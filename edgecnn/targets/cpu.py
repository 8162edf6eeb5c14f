"""This machine's CPU."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

from edgecnn import bench
from edgecnn.bench import Job, Place
from edgecnn.core.measurement import Measurement


@dataclasses.dataclass(frozen=True)
class CpuTarget:
    """Measures in child processes of this machine.

    Attributes:
        python: The interpreter that has the runtime; another environment's is welcome.
    """

    python: Path = Path(sys.executable)

    @property
    def place(self) -> Place:
        """Where the worker runs."""
        return bench.ThisMachine(self.python)

    def measure(self, job: Job) -> Measurement:
        """Measure one file; see `bench.measure`."""
        return bench.measure(job, self.place)
