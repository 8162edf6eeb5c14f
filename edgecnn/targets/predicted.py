"""A board that nobody has at hand: what a file would take there, by published latencies.

Nothing runs. A row carries `predicted_ms` and no latency, is never valid, and says why.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgecnn import bench
from edgecnn.bench import Job
from edgecnn.bench.roofline import Load
from edgecnn.bench.work import Work, work_of
from edgecnn.core import files
from edgecnn.core.device import Device, devices, find_device
from edgecnn.core.errors import InputError
from edgecnn.core.measurement import Measurement, PredictedMs, Prediction
from edgecnn.runtime import arena, tflite
from edgecnn.runtime.metadata import format_of, mapped, read_metadata
from edgecnn.runtime.tflite import Graph
from edgecnn.targets.calibration import Calibration, Case, predict_ms, read_calibration
from edgecnn.targets.published import published

_RUNTIME = "litert"
_KERNELS = "xnnpack"
# So many of the published latencies lie within the range, when predicted by a fit that had
# seen nothing of their network.
_COVERED = 0.9
_MAX_FILE_BYTES = 2_000_000_000


@dataclasses.dataclass(frozen=True)
class PredictedTarget:
    """Predicts what a board would measure with LiteRT, from its profile."""

    device: Device

    @property
    def place(self) -> bench.Place:
        """Names the board; see `bench.NoWorker`."""
        return bench.NoWorker(f"predicted:{self.device.name}")

    def measure(self, job: Job) -> Measurement:
        """Predict one file; arena and size are exact.

        Raises:
            InputError: no TFLite file, or one whose operations nobody published latencies of.
        """
        self._check(job)
        graph = _read(job.path)
        calibration = read_calibration()
        middle = _middle_ms(work_of(graph), self.device, job.threads, calibration)
        factor = _range_factor(calibration, self.device)
        about = _about(calibration, arena.planned_arena_bytes(graph) / 1e6)
        metadata = read_metadata(job.path)
        row = bench.unmeasured(job, about.sentence, runtime=_RUNTIME, place=self.place)
        return dataclasses.replace(
            row,
            scheme="unknown" if metadata is None else metadata.scheme,
            runtime_version="any",
            delegate="none",
            accuracy=job.accuracy,
            protocol={"method": "roofline", "clock_mhz": self.device.cpu.clock_mhz},
            predicted_ms=PredictedMs(low=middle / factor, mid=middle, high=middle * factor),
            prediction=about,
            per_op_reason="nothing runs in a prediction" if job.protocol.per_op else "",
        )

    def _check(self, job: Job) -> None:
        where = self.place.name
        if job.runtime not in (None, _RUNTIME):
            raise InputError(
                f"no published latencies of {job.runtime}", where=where, fix=f"use {_RUNTIME}"
            )
        if self.device.compute is None or self.device.cpu.cores is None:
            raise InputError(
                "a kind of machine, whose speed is only known when it is measured",
                where=where,
                fix="name a board, or use --target cpu there",
            )
        if job.threads > self.device.cpu.cores:
            raise InputError(
                f"{job.threads} threads for {self.device.cpu.cores} cores",
                where=where,
                fix=f"give 1 to {self.device.cpu.cores}",
            )
        asked = {
            "--delegate": job.protocol.delegate,
            "--batch": job.protocol.batch > 1,
            "--pin": job.protocol.pin,
        }
        for option in (name for name, given in asked.items() if given):
            raise InputError(f"{option} where nothing runs", where=where, fix="leave it out")
        with mapped(job.path) as data:
            kind = format_of(data, where=job.path)
        if kind != "tflite":
            raise InputError(
                f"no published latencies of {kind} files to predict from",
                where=job.path,
                fix="predict the .tflite file of the same model",
            )


def predicted(name: str) -> PredictedTarget:
    """Return the target ``predicted:NAME``.

    Raises:
        InputError: no such board.
    """
    return PredictedTarget(find_device(name, where="--target predicted"))


def _read(path: Path) -> Graph:
    data = files.read_bytes(path, limit=_MAX_FILE_BYTES, kind="TFLite model")
    graph = tflite.read(data, where=path)
    if any(t.dtype == "int16" and t.scales and not t.is_constant for t in graph.tensors):
        raise InputError(
            "activations of 16 bits, of which nobody published latencies",
            where=path,
            fix="predict its int8 or float32 file",
        )
    if not graph.operators:
        raise InputError("no operations", where=path, fix="export it again")
    return graph


def _middle_ms(
    work: Sequence[Work], device: Device, threads: int, calibration: Calibration
) -> float:
    """Return the sum over both precisions that a file may mix."""
    groups = {dtype: [one for one in work if one.dtype == dtype] for dtype in ("float32", "int8")}
    cases = [
        Case(
            load=Load.of(group),
            device=device,
            factor=f"{_KERNELS} {dtype}",
            threads=threads,
            clock_mhz=float(device.cpu.clock_mhz or 0),
        )
        for dtype, group in groups.items()
        if group
    ]
    return float(predict_ms(cases, calibration.parameters).sum()) if cases else 0.0


def _range_factor(calibration: Calibration, device: Device) -> float:
    """Return how many times less or more it may be: more for a chip that nobody measured."""
    measured = {devices()[row.device].cpu.soc for row in published()}
    known = device.cpu.soc in measured
    errors = [calibration.errors.network, *([] if known else [calibration.errors.device])]
    return math.exp(max(float(np.quantile(np.abs(np.log(e)), _COVERED)) for e in errors))


def _about(calibration: Calibration, arena_mb: float) -> Prediction:
    off = [math.exp(abs(math.log(error))) for error in calibration.errors.row]
    return Prediction(
        measurements=len(off),
        median_factor=statistics.median(off),
        worst_factor=max(off),
        arena_mb=arena_mb,
    )
