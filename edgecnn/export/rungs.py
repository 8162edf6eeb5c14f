"""The rungs of the ladder of int8, and how one is measured."""

from __future__ import annotations

import functools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias, get_args

import numpy.typing as npt

from edgecnn.core import files
from edgecnn.core.artifact import Format, Measured
from edgecnn.export.ladder import Rung
from edgecnn.export.writers import Writers
from edgecnn.quantize.plan import Plan, Rounding
from edgecnn.quantize.sensitivity import cheapest_gain, sensitivities
from edgecnn.runtime import load

Array: TypeAlias = npt.NDArray[Any]

_IN_FLOAT = (1, 2, 4, 8, 16)
_RUNS = 20


def rungs(writers: Writers) -> Iterator[tuple[str, Callable[[], Plan]]]:
    """Yield each rung's name and what makes its plan, the cheapest first."""
    yield "nearest rounding", lambda: writers.planned("nearest")
    yield "compensated rounding", lambda: writers.planned("compensated")
    yield "other ranges", lambda: writers.planned("compensated", "percentile")
    order: list[str] = []

    def mixed(count: int) -> Plan:
        if not order:
            plan = writers.planned("compensated")
            found = sensitivities(writers.float_tflite, plan, writers.inputs)
            order.extend(cheapest_gain(writers.float_tflite, found))
        return writers.planned("compensated", in_float=order[:count])

    for count in _IN_FLOAT:
        name = f"{count} operation{'s' if count > 1 else ''} in float"
        yield name, functools.partial(mixed, count)
    yield (
        "quantization-aware training",
        lambda: writers.trained(writers.planned("compensated")),
    )


def rungs_before(rounding: Rounding) -> int:
    """Return how many rungs are less than a rounding asks for."""
    return get_args(Rounding).index(rounding)


def rung_of(
    name: str,
    made: dict[Format, bytes],
    floats: dict[Format, bytes],
    judge: Callable[[bytes, str], Measured],
    photo: Array,
) -> Rung:
    """Return what a rung's files reach and cost.

    Args:
        name: The rung's.
        made: Its files, with their metadata.
        floats: The float files of the same formats.
        judge: Compares a file's answers with the checkpoint's.
        photo: [1, H, W, C] uint8, to measure latency with.
    """
    results = [judge(content, f"rung.{suffix}") for suffix, content in made.items()]
    with tempfile.TemporaryDirectory(prefix="edgecnn-") as folder:
        ours, theirs = (
            {suffix: _stored(Path(folder) / f"{kind}.{suffix}", data) for suffix, data in group}
            for kind, group in (("int8", made.items()), ("float", floats.items()))
        )
        latencies = {s: _latencies_ms(ours[s], theirs[s], photo) for s in made}
    fastest = min(latencies.values())
    return Rung(
        name=name,
        drop_points=max(_drop(result) for result in results),
        agreement_pct=min(result.agreement_pct for result in results),
        bytes=min(map(len, made.values())),
        latency_ms=fastest[0],
        float_latency_ms=fastest[1],
    )


def _drop(result: Measured) -> float:
    if result.top1 is None or result.float_top1 is None:
        return 100 - result.agreement_pct
    return 100 * (result.float_top1 - result.top1)


def _stored(path: Path, content: bytes) -> Path:
    files.write_bytes(path, content)
    return path


def _latencies_ms(ours: Path, theirs: Path, photo: Array) -> tuple[float, float]:
    """Return median latencies of two files, measured in turns."""
    runners = [load(path, threads=1) for path in (ours, theirs)]
    samples: tuple[list[float], list[float]] = ([], [])
    for _ in range(_RUNS):
        for runner, kept in zip(runners, samples, strict=True):
            started = time.perf_counter()
            runner.run(photo)
            kept.append(1000 * (time.perf_counter() - started))
    return statistics.median(samples[0]), statistics.median(samples[1])
