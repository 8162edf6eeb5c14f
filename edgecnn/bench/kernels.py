"""Times of kernels in inferences, whichever runtime's profiler tells them.

Like `worker.py` beside it, this needs Python 3.9 and numpy alone.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Any, NamedTuple

from edgecnn.bench import worker

# With tracing on, XNNPACK reads a clock after each kernel: a second gives hundreds of runs.
MAX_SECONDS = 1.5
MIN_RUNS = 30
# The profilers cut a duration down to whole microseconds: on average half of one is lost.
CUT_US = 0.5

Json = dict[str, Any]


class Kernel(NamedTuple):
    """One kernel in one run, as the runtime names it.

    Attributes:
        kernel: What computes, as "Convolution (NHWC, F32) IGEMM" or "QLinearConv".
        name: Of the node, where the runtime tells one.
        node: Its place among the file's operations, where the runtime tells it.
        part: Number of the delegate's part that it belongs to; None outside a delegate.
    """

    kernel: str
    name: str
    node: int | None
    part: int | None


class Run(NamedTuple):
    """One inference: all of it, and its kernels in order; milliseconds."""

    whole_ms: float
    kernels: list[tuple[Kernel, float]]


def summary(runs: list[Run]) -> Json:
    """Return each kernel's time: over the runs that ran the same kernels in the same order."""
    orders = collections.Counter(tuple(kernel for kernel, _ in run.kernels) for run in runs)
    if not orders:
        raise worker.WorkerError("no_profiler", "the profiler told of no inference")
    order, count = orders.most_common(1)[0]
    if not order:
        raise worker.WorkerError("no_profiler", "the profiler told of no operation")
    alike = [run for run in runs if tuple(kernel for kernel, _ in run.kernels) == order]
    return {
        "runs": count,
        "inference_ms": middle([run.whole_ms for run in alike]),
        # Where another process took the core, a kernel waited: what is outside kernels doesn't.
        "outside_ms": middle([run.whole_ms - sum(ms for _, ms in run.kernels) for run in alike]),
        "kernels": [
            {**kernel._asdict(), "ms": middle([run.kernels[at][1] for run in alike])}
            for at, kernel in enumerate(order)
        ],
    }


def middle(values: list[float]) -> float:
    """Return the mean of the middle half: as deaf to outliers as a median, finer than its clock.

    A kernel of two microseconds on a clock of whole ones would be 1, 2 or 3 by the median.
    """
    ordered, cut = sorted(values), len(values) // 4
    kept = ordered[cut : len(ordered) - cut]
    return sum(kept) / len(kept)


def time_both(
    request: Json, run: Callable[[], Any], traced: Callable[[], Run]
) -> tuple[list[float], list[Run]]:
    """Warm up, time without the profiler, then with it."""
    how = request["protocol"]
    limits = {"seconds": min(how["seconds"], MAX_SECONDS), "max_seconds": how["max_seconds"]}
    worker.time_runs(
        run, seconds=how["warmup_seconds"], runs=how["warmup_runs"], max_seconds=how["max_seconds"]
    )
    plain = worker.time_runs(run, runs=min(how["runs"], MIN_RUNS), **limits)
    runs: list[Run] = []
    worker.time_runs(lambda: runs.append(traced()), runs=min(how["runs"], MIN_RUNS), **limits)
    return plain, runs
