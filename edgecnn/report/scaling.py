"""Drawings of one target: what threads gain, and where memory goes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from edgecnn.core.measurement import Measurement, Memory
from edgecnn.report import scale, units
from edgecnn.report.html import Html, join, named, tag
from edgecnn.report.plots import BOTTOM, LEFT, RIGHT, TOP, frame, marker, path, svg
from edgecnn.report.rows import Row
from edgecnn.report.scale import Scale

_FRAME_BYTES = 1e6  # a value of a frame is one byte; memory is shown in MB


@dataclasses.dataclass(frozen=True)
class Part:
    """One piece of a bar."""

    class_: str
    name: str
    mb: float


def thread_scaling(rows: Sequence[Row]) -> Html:
    """Draw how many times faster a file is with more threads; nothing without two counts.

    The dashed line is as much faster as there are more threads; a hollow mark is a row whose
    latency can't be trusted.
    """
    curves = [curve for curve in _curves(rows) if len(curve) > 1]
    if not curves:
        return Html("")
    counts = sorted({_threads(row) for curve in curves for row in curve})
    gains = {id(row): _gain(row, curve[0]) for curve in curves for row in curve}
    most = max(*gains.values(), *(c[-1].measurement.threads / _threads(c[0])  # type: ignore[union-attr]
                                  for c in curves))  # fmt: skip
    across = Scale(
        low=0.0, high=counts[-1] * 1.06, start=LEFT, end=RIGHT, ticks=tuple(map(float, counts))
    )
    up = scale.from_zero([most], start=BOTTOM, end=TOP)
    drawn = [_curve(curve, gains, across, up) for curve in curves]
    base = min(_threads(curve[0]) for curve in curves)
    ideal = [(across(base), up(1.0)), (across(counts[-1]), up(counts[-1] / base))]
    axes = frame(across, up, x_label="threads", y_label="times as fast")
    name = f"Gain by threads of {units.plural(len(curves), 'file')}"
    return svg(name, axes, tag("path", d=path(ideal), class_="joined"), drawn)


def _curves(rows: Sequence[Row]) -> list[list[Row]]:
    """Return the rows of each file and runtime, fewest threads first."""
    found: dict[tuple[str, str, str], dict[int, Row]] = {}
    for row in rows:
        told = row.measurement
        if told is not None and row.median_ms is not None:
            key = (row.sha256, told.runtime, told.variant)
            found.setdefault(key, {}).setdefault(told.threads, row)
    return [[row for _, row in sorted(by_count.items())] for by_count in found.values()]


def _threads(row: Row) -> int:
    return row.measurement.threads if row.measurement else 1


def _gain(row: Row, first: Row) -> float:
    return (first.median_ms or 1.0) / (row.median_ms or 1.0)


def _curve(curve: Sequence[Row], gains: dict[int, float], across: Scale, up: Scale) -> Html:
    points = [(across(_threads(row)), up(gains[id(row)])) for row in curve]
    marks = []
    for row, (x, y) in zip(curve, points, strict=True):
        told = f"{row.label}: {units.milliseconds(row.median_ms)}, "
        told += f"{units.times(gains[id(row)])} times as fast"
        extra = "invalid" if row.doubts else ""
        mark = marker(row.format, row.scheme, x=x, y=y, extra=extra)
        marks.append(tag("g", tag("title", told), mark))
    line = tag("path", d=path(points), class_=f"scaling scheme-{curve[0].scheme}")
    return join(line, marks)


def memory_bars(rows: Sequence[Row]) -> Html:
    """Draw where each file's memory goes, one stacked bar each; nothing where none is known."""
    shown = [(row, parts) for row in _once(rows) if (parts := memory_parts(row.measurement))]
    if not shown:
        return Html("")
    widest = max(sum(part.mb for part in parts) for _, parts in shown)
    lines = [_bar(row, parts, widest) for row, parts in shown]
    kinds = {part.class_: part.name for _, parts in shown for part in parts}
    legend = [
        tag("li", tag("span", class_=f"piece {class_}"), name) for class_, name in kinds.items()
    ]
    return join(
        tag("div", lines, class_="bars"),
        tag("ul", legend, class_="legend"),
    )


def memory_parts(row: Measurement | None) -> list[Part]:
    """Return what a process's highest resident size is made of, and the image beside it.

    The image is one camera frame, held by whoever takes the picture: it is not in the peak of
    a process that does nothing but run the file.
    """
    memory = row.memory_mb if row else None
    if row is None or memory is None:
        return []
    arena = memory.arena or 0.0
    rest = max(0.0, memory.rss_peak - memory.baseline - arena)
    name = "runtime and weights" if memory.arena else "runtime, weights and activations"
    parts = [
        Part("python", "before the file was loaded", min(memory.baseline, memory.rss_peak)),
        Part("runtime", name, rest),
        Part("arena", "arena (activations, as planned)", _arena(memory)),
        Part("image", "image: one camera frame, in whoever takes it", _image_mb(row)),
    ]
    return [part for part in parts if part.mb > 0]


def _arena(memory: Memory) -> float:
    """Return the arena as far as it was touched: a plan may be larger than the process."""
    return max(0.0, min(memory.arena or 0.0, memory.rss_peak - memory.baseline))


def _image_mb(row: Measurement) -> float:
    shape = row.protocol.get("frame_shape")
    if not isinstance(shape, list | tuple) or not shape:
        return 0.0
    size = 1.0
    for axis in shape:
        if isinstance(axis, bool) or not isinstance(axis, int) or not 0 < axis < 1e5:
            return 0.0
        size *= axis
    return size / _FRAME_BYTES


def _once(rows: Sequence[Row]) -> list[Row]:
    """Return each file's row with the fewest threads, of each runtime."""
    found: dict[tuple[str, str], Row] = {}
    for row in sorted(rows, key=_threads):
        if row.memory_mb is not None and row.measurement:
            found.setdefault((row.sha256, row.measurement.runtime), row)
    kept = {id(row) for row in found.values()}
    return [row for row in rows if id(row) in kept]


def _bar(row: Row, parts: Sequence[Part], widest: float) -> Html:
    pieces = [
        tag(
            "span",
            class_=f"piece {part.class_}",
            style=f"width:{100 * part.mb / widest:.2f}%",
            title=f"{part.name}: {units.megabytes(part.mb)}",
        )
        for part in parts
    ]
    told = ", ".join(f"{part.name} {units.megabytes(part.mb)}" for part in parts)
    runtime = row.measurement.runtime if row.measurement else ""
    return join(
        tag("div", named(row.file), tag("small", runtime)),
        tag("div", pieces, class_="stack", role="img", aria_label=told),
        tag("div", units.megabytes(row.memory_mb), class_="num"),
    )
