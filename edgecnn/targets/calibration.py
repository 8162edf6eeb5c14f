"""What share of a board's best its runtimes reach: few numbers, fitted to published latencies.

The logarithms of the latencies are fitted by least squares, so that an error of a tenth counts
alike on a fast and on a slow board; what is far off pulls with a bounded force, since sources
contradict each other (the same network, board and runtime took 77 and 142 ms).

Source: Huber 1964, "Robust estimation of a location parameter", Annals of Mathematical
Statistics 35(1), by Gauss-Newton steps with weights.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import numpy as np

from edgecnn.bench.roofline import Floats, Load, times_ms
from edgecnn.bench.work import KINDS
from edgecnn.core import schema
from edgecnn.core.device import Device, devices
from edgecnn.targets.published import Published, folder

# Where the fit begins; all are above zero, so that it runs on their logarithms.
START: dict[str, float] = {
    "spatial": 0.8,  # shares of the peak that one thread reaches in float32
    "pointwise": 0.6,
    "depthwise": 0.1,
    "bandwidth": 2.0,  # times that of one thread's memcpy: caches help
    "overhead_cycles": 15_000.0,
    "thread_exponent": 0.55,  # computing grows with threads to this power
    "bandwidth_exponent": 0.3,
    "in_order": 0.65,  # of these shares, on a core that runs instructions in their order
    "xnnpack int8": 3.0,  # times what XNNPACK reaches in float32
    "xnnpack int8 dot": 1.2,  # likewise, of the peak of the dot product
    "ncnn float32": 1.1,
    "ncnn float16": 1.0,
    "ncnn int8": 1.7,
    "ncnn int8 dot": 0.5,
    "qnnpack int8": 1.8,
}
_PLACES = {name: place for place, name in enumerate(START)}
# Fully connected layers multiply as convolutions of one pixel do; the others don't multiply.
_SHARES = {"dense": "pointwise", "other": "pointwise"}
_SHARE_PLACES = np.array([_PLACES[_SHARES.get(kind, kind)] for kind in KINDS])
# XNNPACK's float32 kernels are what the others are compared with.
_REFERENCE = "xnnpack float32"
_STEPS = 60
_HALVINGS = 8
_SLOPE_STEP = 1e-4
# Of the logarithm: an error of 16 % pulls as hard as any larger one.
_BEND = 0.15
_SMALL = 1e-5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """Some operations on some board.

    Attributes:
        load: All in one precision.
        factor: A runtime and its precision: "xnnpack int8".
    """

    load: Load
    device: Device
    factor: str
    threads: int
    clock_mhz: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Errors:
    """By what factor predictions missed, each made by a fit that had not seen what it predicts.

    Attributes:
        row: Of each published latency, in their order: predicted over published, that one
            left out.
        network: Likewise, all of its network left out.
        device: Likewise, all of its board left out.
    """

    row: tuple[float, ...]
    network: tuple[float, ...]
    device: tuple[float, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Calibration:
    """The fit, and how wrong it is."""

    SCHEMA: ClassVar[str] = "edgecnn/calibration/1"

    parameters: dict[str, float]
    errors: Errors


def read_calibration() -> Calibration:
    """Read the fit that ships with the package."""
    return schema.read(Calibration, folder() / "calibration.json")


def predict_ms(cases: Sequence[Case], parameters: Mapping[str, float]) -> Floats:
    """Return the latency of each case."""
    theta = np.log([parameters[name] for name in START])
    return np.asarray(np.exp(_Table(cases).log_ms(theta)))


def supported(factor: str) -> bool:
    """Tell whether there are published latencies of a runtime and precision."""
    return factor == _REFERENCE or factor in START


def case_of(row: Published) -> Case:
    """Return what a published latency measured."""
    return Case(
        load=row.load,
        device=devices()[row.device],
        factor=row.factor,
        threads=row.threads,
        clock_mhz=row.clock_mhz,
    )


def fit(rows: Sequence[Published]) -> dict[str, float]:
    """Return the parameters under which the rows' latencies are predicted best."""
    theta = np.log(list(START.values()))
    table, wanted = _Table([case_of(row) for row in rows]), np.log([row.ms for row in rows])
    for _ in range(_STEPS):
        change = _step(table, wanted, theta)
        lengths = (change * 0.5**halvings for halvings in range(_HALVINGS))
        least = _pull(wanted - table.log_ms(theta))
        better = (c for c in lengths if _pull(wanted - table.log_ms(theta + c)) < least)
        taken = next(better, None)
        if taken is None or np.abs(taken).max() < _SMALL:
            break
        theta = theta + taken
    return dict(zip(START, np.exp(theta).tolist(), strict=True))


def _step(table: _Table, wanted: Floats, theta: Floats) -> Floats:
    """Return the change that would be best if latencies were linear in the parameters."""
    predicted = table.log_ms(theta)
    moves = _SLOPE_STEP * np.eye(len(theta))
    slopes = np.stack(
        [(table.log_ms(theta + move) - predicted) / _SLOPE_STEP for move in moves], axis=1
    )
    missed = wanted - predicted
    weight = np.minimum(1.0, _BEND / np.maximum(np.abs(missed), _SMALL))[:, None]
    # A parameter that no row depends on stays where it is.
    normal = slopes.T @ (weight * slopes) + 1e-3 * np.eye(len(theta))
    return np.asarray(np.linalg.solve(normal, (weight * slopes).T @ missed))


def _pull(missed: Floats) -> float:
    """Return Huber's loss."""
    far = np.abs(missed)
    return float(np.where(far < _BEND, far**2 / 2, _BEND * (far - _BEND / 2)).sum())


def calibrate(rows: Sequence[Published]) -> Calibration:
    """Fit all rows, and find out how wrong fits are that miss some of them."""
    errors = Errors(
        row=_left_out(rows, list(range(len(rows))).__getitem__),
        network=_left_out(rows, lambda place: rows[place].network),
        device=_left_out(rows, lambda place: rows[place].device),
    )
    return Calibration(parameters=fit(rows), errors=errors)


def _left_out(rows: Sequence[Published], group: Callable[[int], object]) -> tuple[float, ...]:
    """Return predicted over published, for each row by a fit without its group."""
    found = [0.0] * len(rows)
    for chosen in dict.fromkeys(map(group, range(len(rows)))):
        out = [place for place in range(len(rows)) if group(place) == chosen]
        kept = [row for place, row in enumerate(rows) if place not in set(out)]
        cases = [case_of(rows[place]) for place in out]
        for place, ms in zip(out, predict_ms(cases, fit(kept)), strict=True):
            found[place] = float(ms) / rows[place].ms
    return tuple(found)


class _Table:
    """Cases laid out one operation after the other."""

    def __init__(self, cases: Sequence[Case]) -> None:
        counts = [len(case.load.kind) for case in cases]
        self._starts = np.cumsum([0, *counts[:-1]])
        self._case = np.repeat(np.arange(len(cases)), counts)
        self._load = Load(
            kind=np.concatenate([case.load.kind for case in cases]),
            operations=np.concatenate([case.load.operations for case in cases]),
            bytes=np.concatenate([case.load.bytes for case in cases]),
        )
        self._gops = np.array([_core_gops(case) for case in cases])
        self._bandwidth = np.array([_memcpy_gb_per_s(case.device) for case in cases])
        self._mhz = np.array([float(case.clock_mhz) for case in cases])
        self._threads = np.array([float(case.threads) for case in cases])
        self._in_order = np.array([case.device.cpu.in_order for case in cases])
        names = [_factor(case) for case in cases]
        self._factor = np.array([_PLACES.get(name, 0) for name in names])
        self._reference = np.array([name == _REFERENCE for name in names])

    def log_ms(self, theta: Floats) -> Floats:
        """Return the logarithm of each case's latency, by the logarithms of the parameters."""
        values = np.exp(theta)
        named = {name: values[place] for name, place in _PLACES.items()}
        gops = self._gops * self._threads ** named["thread_exponent"]
        gops = gops * np.where(self._in_order, named["in_order"], 1.0)
        gops = gops * np.where(self._reference, 1.0, values[self._factor])
        moved = named["bandwidth"] * self._threads ** named["bandwidth_exponent"]
        times = times_ms(
            self._load,
            gops=gops[self._case] * values[_SHARE_PLACES][self._load.kind],
            gb_per_s=(self._bandwidth * moved)[self._case],
            overhead_ms=(named["overhead_cycles"] / self._mhz / 1e3)[self._case],
        )
        return np.asarray(np.log(np.add.reduceat(times, self._starts)))


def _factor(case: Case) -> str:
    has_dot = case.device.compute is not None and case.device.compute.peak_int8_gops is not None
    return f"{case.factor} dot" if case.factor.endswith(" int8") and has_dot else case.factor


def _core_gops(case: Case) -> float:
    """Return the best of one core at the case's clock, in its precision."""
    cpu, compute = case.device.cpu, case.device.compute
    if compute is None or cpu.cores is None or cpu.clock_mhz is None:
        return math.nan
    peak = compute.peak_fp32_gflops
    if case.factor.endswith(" int8"):
        peak = compute.peak_int8_gops or peak
    if case.factor.endswith(" float16"):
        peak = compute.peak_fp16_gflops or peak
    return peak / cpu.cores * case.clock_mhz / cpu.clock_mhz


def _memcpy_gb_per_s(device: Device) -> float:
    if device.memory is None:
        return math.nan
    return math.sqrt(math.prod(device.memory.memcpy_gb_per_s))
