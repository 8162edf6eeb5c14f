"""This machine's CPU."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

from edgecnn import bench
from edgecnn.bench import Place, Protocol
from edgecnn.core.measurement import Accuracy, Measurement


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

    def measure(
        self,
        path: Path,
        *,
        runtime: str | None = None,
        threads: int = 1,
        protocol: Protocol | None = None,
        accuracy: Accuracy | None = None,
    ) -> Measurement:
        """Measure one file; see `bench.measure`."""
        return bench.measure(
            path,
            runtime=runtime,
            threads=threads,
            protocol=protocol,
            accuracy=accuracy,
            place=self.place,
        )
