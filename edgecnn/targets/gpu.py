"""This machine's GPU, whose answers are held against the CPU's before its times count."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

from edgecnn import bench
from edgecnn.bench import Job, Place
from edgecnn.bench.answer import check_error
from edgecnn.core.errors import InputError
from edgecnn.core.measurement import Measurement


@dataclasses.dataclass(frozen=True)
class GpuPlace:
    """Two child processes a row: the CPU's answers, then the GPU's answers and times.

    Attributes:
        python: The interpreter that has the runtime.
    """

    python: Path = Path(sys.executable)
    name: str = "gpu"

    def run(self, request: dict[str, Any], *, timeout_seconds: float) -> dict[str, Any]:
        """Measure on the GPU; see `Place`, and `bench.gpu` for what makes it refuse."""
        path, runtime = Path(request["model"]), request["runtime"]
        if request.get("per_op"):
            raise InputError("no times of operations on a GPU", where=path, fix="use --target cpu")
        here = bench.ThisMachine(self.python)
        expected = here.run({**request, "device": "cpu"}, timeout_seconds=timeout_seconds)
        check_error(expected, model=path, runtime=runtime)
        asked = {**request, "device": "gpu", "expected": expected.get("outputs")}
        return here.run(asked, timeout_seconds=timeout_seconds)


@dataclasses.dataclass(frozen=True)
class GpuTarget:
    """Measures in child processes of this machine.

    Attributes:
        python: The interpreter that has the runtime; another environment's is welcome.
    """

    python: Path = Path(sys.executable)

    @property
    def place(self) -> Place:
        """Where the worker runs."""
        return GpuPlace(self.python)

    def measure(self, job: Job) -> Measurement:
        """Measure one file; see `bench.measure`."""
        return bench.measure(job, self.place)
