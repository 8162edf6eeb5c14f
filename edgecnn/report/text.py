"""Tables for the terminal: the same rows and the same words as on the page."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from edgecnn.core.artifact import Calibration
from edgecnn.core.checkpoint import Scores
from edgecnn.core.labels import labels_of
from edgecnn.core.measurement import MIN_RUNS_P90, Ceilings, Measurement, OpTime
from edgecnn.core.parity import Parity
from edgecnn.report import units
from edgecnn.report.collect import Collected
from edgecnn.report.rows import build

if TYPE_CHECKING:
    from rich.table import Table

_WORST_CLASSES = 20
_LONGEST = 20
# Profilers count whole microseconds.
_ROUGH_MS = 0.003
# Quiet machines give 0.98 to 1.04.
_SLOWED = 1.2


def measurement_table(measurements: Iterable[Measurement]) -> Table:
    """Return one line a measurement: where, how fast, how large in memory, and if it counts."""
    rows = list(measurements)
    counted = [">instructions"] if any(row.instructions for row in rows) else []
    table = new_table(
        *("file", "target", "runtime", ">threads", ">first", ">median", ">p90", *counted),
        *(">peak memory", ">top-1", "valid"),
    )
    for row in rows:
        latency, memory = row.latency_ms, row.memory_mb
        table.add_row(
            plain_text(PurePath(row.model).name),
            plain_text(row.target),
            plain_text(
                ", ".join(filter(None, (f"{row.runtime} {row.runtime_version}", row.variant)))
            ),
            str(row.threads),
            units.milliseconds(latency.first if latency else None),
            units.milliseconds(latency.median if latency else None),
            units.milliseconds(
                latency.percentile(0.9) if latency and latency.runs >= MIN_RUNS_P90 else None
            ),
            *([units.count(row.instructions)] if counted else []),
            units.megabytes(memory.rss_peak if memory else None),
            _with_n(row.accuracy.top1, row.accuracy.n) if row.accuracy else units.NONE,
            plain_text(_worth(row)),
        )
    return table


def _worth(row: Measurement) -> str:
    if row.instructions is not None and not row.doubts:
        return "counted"
    return "yes" if row.valid else f"no: {'; '.join(row.invalid_reasons)}"


def each_image_lines(measurements: Iterable[Measurement]) -> list[str]:
    """Say what one image costs where that is not what the table says, and how much energy."""
    lines = []
    for row in measurements:
        told = []
        if row.batch > 1 and row.latency_ms:
            each = units.milliseconds(row.latency_ms.median / row.batch)
            told.append(f"{each} an image, of {row.batch} in one inference")
        if row.energy_mj is not None:
            told.append(f"{row.energy_mj / row.batch:.3g} mJ an image, whole processor")
        if told:
            count = units.plural(row.threads, "thread")
            words = (PurePath(row.model).name, row.runtime, count, row.variant)
            lines.append(f"{', '.join(filter(None, words))}: {', '.join(told)}")
    return lines


def operations_table(row: Measurement) -> list[Any]:
    """Return a file's operations, the longest first, and a line on what they add up to."""
    timed = sorted((op for op in row.per_op if op.ms is not None), key=lambda op: -(op.ms or 0.0))
    has_roof = any(op.roof_ms for op in row.per_op)
    labels = labels_of({op.name or op.operation: op.operation for op in row.per_op})
    table = new_table(
        "operation",
        "name",
        "output",
        "dtype",
        *(">MACs", ">time", ">share", ">GMAC/s"),
        *((">MACs a byte", ">of the roof") if has_roof else ()),
    )
    table.title = (
        f"{PurePath(row.model).name}, {row.runtime}, {units.plural(row.threads, 'thread')}"
    )
    for op in timed[:_LONGEST]:
        table.add_row(
            plain_text(op.operation.lower().replace("_", " ")),
            plain_text(labels[op.name or op.operation]),
            units.sizes(op.output_shape) or units.NONE,
            plain_text(op.dtype),
            units.rough(op.macs) if op.macs else units.NONE,
            units.milliseconds(op.ms),
            units.share(op.share),
            f"{op.macs / op.ms / 1e6:.1f}" if op.macs and op.ms else units.NONE,
            *(_roof(op) if has_roof else ()),
        )
    if (hidden := len(timed) - _LONGEST) > 0:
        table.add_row(f"... and {units.plural(hidden, 'shorter one')}")
    return [table, operations_total(row, len(row.per_op) - len(timed))]


def _roof(op: OpTime) -> tuple[str, str]:
    intensity = units.NONE if op.intensity is None else f"{op.intensity:.3g}"
    return intensity, units.NONE if op.roof_share is None else units.share(op.roof_share)


def _ceilings(most: Ceilings) -> str:
    return (
        f"The roof, measured here: {most.float32_gmacs:.0f} GMAC/s in float32, "
        f"{most.int8_gmacs:.0f} in int8, {most.gb_per_s:.0f} GB/s for as many bytes"
    )


def operations_total(row: Measurement, without: int) -> str:
    """Say what the operations add up to, beside the inference that nobody looked into."""
    about, latency = row.per_op_about, row.latency_ms
    total = units.milliseconds(sum(op.ms or 0.0 for op in row.per_op))
    text = f"{units.plural(len(row.per_op) - without, 'operation')}: {total}"
    if about is not None:
        text += f", {units.milliseconds(about.residual_ms)} outside them"
        slower = about.inference_ms / about.plain_ms - 1 if about.plain_ms else 0.0
        text += f" (of {about.runs:,} inferences, {100 * slower:+.0f} % with the profiler on)"
    if latency is not None:
        text += f"; one inference without it {units.milliseconds(latency.median)}"
    times = [op.ms for op in row.per_op if op.ms is not None]
    if latency is not None and sum(times) > _SLOWED * latency.median:
        text += "; the machine was busier, or the profiler costs more: take shares, not times"
    if times and statistics.median(times) < _ROUGH_MS:
        text += "; most are about as short as the profiler's clock ticks (1 µs): rough shares"
    if about is not None and about.ceilings is not None:
        text += f". {_ceilings(about.ceilings)}"
    if without:
        text += f"; {without:,} more ran nothing: fused with others, or done at loading"
    return text


def export_table(rows: Iterable[Mapping[str, Any]]) -> Table:
    """Return one line a written file.

    Args:
        rows: As ``export --json`` has them; see `core.artifact.Artifact.to_row`.
    """
    table = new_table("file", "scheme", "io", ">size", ">top-1", ">float", ">agreement", ">time")
    for row in rows:
        table.add_row(
            plain_text(PurePath(row["path"]).name),
            plain_text(row["scheme"]),
            plain_text(row["io"]),
            units.bytes_(row["bytes"]),
            _with_n(row["top1"], row.get("n")),
            units.share(row["float_top1"]),
            units.percent(row["agreement_pct"]),
            units.seconds(row["seconds"]),
        )
    return table


def calibration_table(calibration: Calibration) -> Table:
    """Return one line a count of calibration photos that was tried."""
    table = new_table(">calibration photos", ">agreement", ">signal to noise", ">time", "")
    for point in calibration.curve:
        table.add_row(
            units.count(point.n),
            units.percent(point.agreement_pct),
            f"{point.sqnr_db:.1f} dB",
            units.seconds(point.seconds),
            "taken" if point.n == calibration.n else "",
        )
    return table


def parity_table(parity: Parity) -> Table:
    """Return one line a file against the reference."""
    table = new_table(
        "file",
        *(">photos", ">top-1", ">drop, points", ">agreement", ">changed", ">largest difference"),
        "checks",
    )
    for row in parity.rows:
        failed = [check.name for check in row.checks if not check.passed]
        table.add_row(
            plain_text(PurePath(row.path).name),
            units.count(row.n),
            units.share(row.top1),
            units.points(row.top1_drop_points),
            units.percent(row.agreement_pct),
            units.count(len(row.flips)),
            f"{row.max_abs_diff:.2g}",
            plain_text(f"failed: {', '.join(failed)}" if failed else "passed"),
        )
    return table


def scores_table(scores: Scores) -> Table:
    """Return the accuracy and, worst first, that of the classes (at most twenty)."""
    table = new_table("class", ">photos", ">recall", ">precision")
    table.title = (
        f"top-1 {units.share(scores.top1)} of {units.plural(scores.n, 'photo')} ({scores.split}), "
        f"top-5 {units.share(scores.top5)}"
    )
    ranked = sorted(scores.per_class, key=lambda c: (c.recall is None, c.recall or 0.0))
    for row in ranked[:_WORST_CLASSES]:
        table.add_row(
            plain_text(row.name),
            units.count(row.n),
            units.share(row.recall),
            units.share(row.precision),
        )
    if (hidden := len(ranked) - _WORST_CLASSES) > 0:
        table.add_row(f"... and {units.plural(hidden, 'better class', 'better classes')}")
    return table


def summary_table(collected: Collected) -> Table:
    """Return what the page's own table shows: all that is known of each file, in one line."""
    rows = build(collected)
    targets = {row.measurement.target for row in rows if row.measurement}
    has_counts = any(row.instructions is not None for row in rows)
    has_guesses = any(row.predicted for row in rows)
    table = new_table(
        *("file", "scheme", ">size", ">accuracy", ">agreement"),
        *(["target"] if len(targets) > 1 else []),
        *(">threads", ">median", ">p90"),
        *([">predicted"] if has_guesses else []),
        *([">instructions"] if has_counts else []),
        *(">memory", "valid"),
    )
    for row in rows:
        measured = row.measurement
        guess = measured.predicted_ms if measured else None
        table.add_row(
            plain_text(row.file),
            row.scheme,
            units.bytes_(row.bytes),
            _with_n(row.top1.value, row.top1.n) if row.top1 else units.NONE,
            units.percent(row.agreement.pct if row.agreement else None),
            *([plain_text(measured.target if measured else "")] if len(targets) > 1 else []),
            str(measured.threads) if measured else units.NONE,
            units.milliseconds(row.median_ms),
            units.milliseconds(row.p90_ms),
            *([units.milliseconds(guess.mid if guess else None)] if has_guesses else []),
            *([units.count(row.instructions)] if has_counts else []),
            units.megabytes(row.memory_mb),
            row.validity,
        )
    return table


def zoo_table(rows: Iterable[Mapping[str, Any]]) -> list[Any]:
    """Return one line an architecture: what it costs and what its weights reach.

    Args:
        rows: "architectures" of the catalogue.

    Returns:
        The table, and a line for each source of a top-1 that it refers to.
    """
    table = new_table("name", ">params", ">MACs", ">at", ">top-1 %", ">int8", "weights", "licence")
    table.box, table.padding = None, (0, 2, 0, 0)  # 80 columns hold it, with long names folded
    sources: dict[str, int] = {}
    for row in rows:
        weights = next(iter(row["weights"]), None)
        top1, ready, licence = units.NONE, units.NONE, units.NONE
        if weights:
            mark = sources.setdefault(weights["top1_source"], len(sources) + 1)
            top1 = f"{100 * weights['top1']:.1f} ({mark})"
            ready, licence = _ready(weights), weights["licence"]
        cost = (units.rough(row["params"]), units.rough(row["macs"]), str(row["size"]))
        table.add_row(row["name"], *cost, top1, row["int8"], ready, licence)
    return [table, *(f"  ({mark}) {source}" for source, mark in sources.items())]


def _ready(weights: Mapping[str, Any]) -> str:
    if weights["on_disk"]:
        return "here"
    return "on-line" if weights["available"] else "pip"


def new_table(*columns: str) -> Table:
    """Make an empty table; a ``>`` before a name sets its column to the right."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False)
    for name in columns:
        right = name.startswith(">")
        table.add_column(
            name.lstrip(">"),
            justify="right" if right else "left",
            no_wrap=right,
            overflow="fold",
        )
    return table


def _with_n(top1: float | None, n: int | None) -> str:
    if top1 is None:
        return units.NONE
    return f"{units.share(top1)} of {n:,}" if n else units.share(top1)


def plain_text(text: str) -> Any:
    """Return text that rich takes literally, without what could move the cursor."""
    from rich.text import Text

    return Text("".join(c if c.isprintable() else "\ufffd" for c in text))
