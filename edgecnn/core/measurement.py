"""A Measurement: one file on one target with one number of threads, standing alone.

Names follow TFLite's benchmark_model and MLPerf where they have one.
"""

from __future__ import annotations

import dataclasses
import statistics
from typing import Any, ClassVar

from edgecnn.core import schema

# MLPerf Inference's early stopping (d = 0, c = 0.99) needs this many queries for a percentile.
MIN_RUNS_P90 = 64
MIN_RUNS_P99 = 662


@dataclasses.dataclass(frozen=True, kw_only=True)
class Latency:
    """Times of one inference, milliseconds. The samples are kept, the numbers derived.

    Attributes:
        init: Loading the file and preparing the runtime.
        first: First inference.
        warmup_runs: Inferences between the first and the samples; not in the samples.
        samples_ms: One value a timed inference, in order.
    """

    init: float
    first: float
    warmup_runs: int
    samples_ms: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.samples_ms:
            raise ValueError("samples_ms is empty: no inference was timed")
        if min(self.samples_ms) <= 0:
            raise ValueError("a sample is not above zero")

    @property
    def runs(self) -> int:
        """Number of timed inferences."""
        return len(self.samples_ms)

    @property
    def median(self) -> float:
        """The headline number: a mean would follow the slowest run."""
        return statistics.median(self.samples_ms)

    @property
    def spread(self) -> float:
        """Median absolute deviation over the median, no unit."""
        centre = self.median
        return statistics.median(abs(x - centre) for x in self.samples_ms) / centre

    def percentile(self, share: float) -> float:
        """Return the percentile by linear interpolation; ``share`` within 0..1."""
        ordered = sorted(self.samples_ms)
        at = share * (len(ordered) - 1)
        low = int(at)
        high = min(low + 1, len(ordered) - 1)
        return ordered[low] + (ordered[high] - ordered[low]) * (at - low)

    def to_json(self) -> dict[str, Any]:
        """Return samples and derived numbers; a percentile is null with too few runs for it."""
        enough_p90, enough_p99 = self.runs >= MIN_RUNS_P90, self.runs >= MIN_RUNS_P99
        return {
            "first": self.first,
            "init": self.init,
            "avg": statistics.fmean(self.samples_ms),
            "median": self.median,
            "p90": self.percentile(0.90) if enough_p90 else None,
            "p95": self.percentile(0.95) if enough_p90 else None,
            "p99": self.percentile(0.99) if enough_p99 else None,
            "min": min(self.samples_ms),
            "max": max(self.samples_ms),
            "std": statistics.pstdev(self.samples_ms),
            "runs": self.runs,
            "warmup_runs": self.warmup_runs,
            "samples_ms": list(self.samples_ms),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Latency:
        """Rebuild from `to_json`; derived numbers are derived again, never trusted."""
        names = [field.name for field in dataclasses.fields(cls)]
        return schema.decode_fields(cls, {name: data[name] for name in names if name in data})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Memory:
    """Memory of the worker process, MB (1e6 bytes).

    Attributes:
        baseline: Resident before the runtime loads the file.
        arena: Activations as planned from the file's tensor lifetimes; none where unplanned.
        rss_anon: Anonymous pages resident after the runs.
        rss_file: File-backed pages resident after the runs.
        rss_peak: Highest resident size of the process.
    """

    baseline: float
    arena: float | None
    rss_anon: float
    rss_file: float
    rss_peak: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Accuracy:
    """What this very file reached on labelled photos; top-1 is a fraction 0..1."""

    data: str
    n: int
    top1: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class OpTime:
    """One operation's part of an inference.

    Attributes:
        operation: As the file has it: "CONV_2D", "Conv"; a kernel that stands for no operation
            of the file (a change of layout, say) has its own name here.
        name: Of its output, or of the runtime's own node.
        output_shape: As the file has it.
        dtype: Of its output.
        macs: Multiply-accumulates of one inference.
        kernel: What the runtime ran for it; empty where it ran nothing: fused with a
            neighbour, or done once when the file was loaded.
        ms: Time of one inference; None where nothing ran.
        share: Of the time of all operations, 0..1.
        bytes: Read and written once: what comes in, weights, what goes out.
        roof_ms: Shortest time that the machine's ceilings allow; none where unmeasured.
    """

    operation: str
    name: str
    output_shape: tuple[int, ...]
    dtype: str
    macs: int
    kernel: str
    ms: float | None
    share: float
    bytes: int = 0
    roof_ms: float | None = None

    @property
    def intensity(self) -> float | None:
        """Multiply-accumulates a byte; few of them, and memory decides."""
        return self.macs / self.bytes if self.macs and self.bytes else None

    @property
    def roof_share(self) -> float | None:
        """How much of what the machine can do at most was reached, 0..1."""
        return self.roof_ms / self.ms if self.roof_ms and self.ms else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ceilings:
    """What the machine can do at most with so many threads, measured on the spot.

    Attributes:
        float32_gmacs: 1e9 multiply-accumulates a second.
        int8_gmacs: Likewise, of 8 bits.
        gb_per_s: 1e9 bytes a second, read and written, in copies of as many bytes as the
            network has: where they fit into a cache, this is the cache's.
    """

    float32_gmacs: float
    int8_gmacs: float
    gb_per_s: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class PerOpAbout:
    """How the operations of a row were timed.

    Attributes:
        method: Who measured what.
        runs: Inferences under the profiler.
        plain_ms: One inference in that process without it.
        inference_ms: With it.
        residual_ms: Of an inference with it, what is in no operation.
        ceilings: Of the machine; none where they couldn't be measured.
    """

    method: str
    runs: int
    plain_ms: float
    inference_ms: float
    residual_ms: float
    ceilings: Ceilings | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictedMs:
    """What one inference would take, milliseconds, on a board where nothing ran."""

    low: float
    mid: float
    high: float

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.mid <= self.high:
            raise ValueError("a predicted range that is not in order")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prediction:
    """How good a predicted latency is, and what needs no prediction.

    Attributes:
        measurements: Published latencies that the prediction rests on.
        median_factor: By which it was off on these, each left out once, in the median.
        worst_factor: Likewise, at worst.
        arena_mb: Activations as planned from the file's tensor lifetimes: exact.
    """

    measurements: int
    median_factor: float
    worst_factor: float
    arena_mb: float

    @property
    def sentence(self) -> str:
        """Says why the row is no measurement."""
        return (
            f"a prediction, not a measurement: on {self.measurements} published measurements, "
            f"each left out in turn, it was off by a factor of {self.median_factor:.2f} in the "
            f"median, {self.worst_factor:.2f} at worst"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measurement:
    """One row: file x target x threads.

    Attributes:
        model: The file's name.
        bytes: Size of the file.
        scheme: From the file's own metadata; "unknown" for a foreign file.
        delegate: What ran the operations: "XNNPACK", "CPUExecutionProvider", ... or "none".
        delegated_nodes: Nodes that the delegate took; none where the runtime doesn't tell.
        preprocess_ms: Median time to prepare one photo.
        postprocess_ms: Median time to turn outputs into an answer.
        machine: Facts of the machine: arch, cpu, cores, os, python, governor, clock_mhz,
            load, temperature_c ... as far as it tells them.
        protocol: Options that the numbers depend on (seconds, runs, warm-up).
        valid: False when a reason below makes the latency untrustworthy.
        when: UTC, ISO 8601.
        per_op: Times of the operations in the file's order; empty where none were asked for.
        per_op_about: How they were taken; none without them.
        per_op_reason: Why they were asked for and there are none.
        predicted_ms: Of a board where nothing ran; such a row has no latency and is not valid.
        prediction: How good it is.
        instructions: Guest instructions of one inference on an emulated board, which has no
            latency; none elsewhere.
        energy_mj: What the processors used during one inference, all else that they did
            included, millijoules; none where the machine doesn't tell.
    """

    SCHEMA: ClassVar[str] = "edgecnn/measurement/1"

    model: str
    sha256: str
    bytes: int
    format: str
    scheme: str
    target: str
    runtime: str
    runtime_version: str
    delegate: str
    delegated_nodes: int | None
    total_nodes: int | None
    threads: int
    latency_ms: Latency | None
    preprocess_ms: float | None
    postprocess_ms: float | None
    memory_mb: Memory | None
    accuracy: Accuracy | None
    machine: dict[str, Any]
    protocol: dict[str, Any]
    valid: bool
    invalid_reasons: tuple[str, ...]
    when: str
    per_op: tuple[OpTime, ...] = ()
    per_op_about: PerOpAbout | None = None
    per_op_reason: str = ""
    predicted_ms: PredictedMs | None = None
    prediction: Prediction | None = None
    instructions: int | None = None
    energy_mj: float | None = None

    def __post_init__(self) -> None:
        if self.valid == bool(self.invalid_reasons):
            raise ValueError("valid and invalid_reasons contradict each other")
        if self.predicted_ms and (self.latency_ms or self.valid or not self.prediction):
            raise ValueError("a prediction that poses as a measurement")

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why not to believe the row as what it is.

        The first reason of a predicted or an emulated row only says that it has no latency.
        """
        is_no_latency = self.predicted_ms is not None or self.instructions is not None
        return self.invalid_reasons[1:] if is_no_latency else self.invalid_reasons

    @property
    def batch(self) -> int:
        """Images of one inference: the latency is that of all of them together."""
        told = self.protocol.get("batch")
        return told if isinstance(told, int) and told > 0 else 1

    @property
    def variant(self) -> str:
        """What was asked for beyond runtime and threads, in words; empty for the defaults.

        Rows that differ in it measure different things.
        """
        delegate, told = self.protocol.get("delegate"), self.protocol.get("pin")
        cores = told if isinstance(told, (list, tuple)) else ()
        words = [
            f"delegate {delegate}" if delegate else "",
            f"batch {self.batch}" if self.batch != 1 else "",
            f"cores {'+'.join(str(core) for core in cores)}" if cores else "",
        ]
        return ", ".join(word for word in words if word)
