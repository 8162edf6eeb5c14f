"""Drawings as SVG: what accuracy costs, how steady the latency is, how training went."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import TypeAlias

from edgecnn.core.checkpoint import Epoch
from edgecnn.core.measurement import MIN_RUNS_P90
from edgecnn.report import scale, units
from edgecnn.report.html import Html, join, tag
from edgecnn.report.rows import Row
from edgecnn.report.scale import Scale

Point: TypeAlias = tuple[float, float]

# Left, top, right, bottom of the drawn area within a plot of 300 x 232: a third of the page,
# or the width of a phone, so that the numbers keep their size.
_WIDTH, _HEIGHT = 300, 232
LEFT, TOP, RIGHT, BOTTOM = 44, 16, 292, 188
_STRIP_WIDTH, _STRIP_HEIGHT = 640, 32
# More ticks than this on one strip are a grey bar, and a heavy page.
_MAX_SAMPLES = 400


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cost:
    """What a plot sets against accuracy.

    Attributes:
        title: Of the drawing.
        axis: The axis' label with its unit.
        of: The row's cost; none leaves the row out.
        text: The cost in words.
    """

    title: str
    axis: str
    of: Callable[[Row], float | None]
    text: Callable[[float | None], str]


LATENCY = Cost(
    title="Latency", axis="median latency, ms", of=lambda r: r.median_ms, text=units.milliseconds
)
SIZE = Cost(
    title="Size",
    axis="file size, MB",
    of=lambda r: None if r.bytes is None else r.bytes / 1e6,
    text=units.megabytes,
)
MEMORY = Cost(
    title="Memory", axis="peak memory, MB", of=lambda r: r.memory_mb, text=units.megabytes
)


def accuracy_against(cost: Cost, rows: Sequence[Row], best: Row | None) -> Html:
    """Draw accuracy upwards and a cost to the right: the better corner is top left.

    A bar shows how sure the accuracy is, a line joins one file's settings, a hollow mark
    is a row whose latency can't be trusted.
    """
    shown = [(row, x, row.top1) for row in rows if row.top1 and (x := cost.of(row)) is not None]
    if not shown:
        return Html("")
    bounds = [100 * edge for _, _, top1 in shown for edge in top1.interval]
    across = scale.from_zero([x for _, x, _ in shown], start=LEFT, end=RIGHT)
    up = scale.around(bounds, start=BOTTOM, end=TOP, within=(0, 100))
    by_file = itertools.groupby(shown, key=lambda item: item[0].sha256)
    lines = [_joined([(across(x), up(100 * t.value)) for _, x, t in group]) for _, group in by_file]
    whiskers = [_whisker(across(x), top1.interval, up) for _, x, top1 in shown]
    marks = [
        _mark(row, across(x), up(100 * t.value), cost.text(x), is_best=row is best)
        for row, x, t in shown
    ]
    axes = frame(across, up, x_label=cost.axis, y_label="right answers, %")
    name = f"Accuracy against {cost.title.lower()} of {units.plural(len(shown), 'row')}"
    return svg(name, axes, lines, whiskers, marks)


def marker(row_format: str, scheme: str, *, x: float, y: float, extra: str = "") -> Html:
    """Draw a row's mark: colour is the scheme, a circle is TFLite, a square ONNX or ORT."""
    classes = f"mark scheme-{scheme} {extra}".strip()
    if row_format in ("onnx", "ort"):
        return tag("rect", x=x - 4.6, y=y - 4.6, width=9.2, height=9.2, rx=1.5, class_=classes)
    return tag("circle", cx=x, cy=y, r=5.2, class_=classes)


def strip_axis(rows: Sequence[Row]) -> Scale | None:
    """Return the axis that all strips share, or None when nothing was timed."""
    slowest = [
        value
        for row in rows
        if row.measurement and (latency := row.measurement.latency_ms)
        for value in (min(latency.samples_ms), latency.percentile(0.98))
    ]
    return scale.from_zero(slowest, start=4, end=_STRIP_WIDTH - 4, ticks=8) if slowest else None


def strip(row: Row, across: Scale) -> Html:
    """Draw each timed run as a tick, the median and the 90th percentile as bars."""
    latency = row.measurement and row.measurement.latency_ms
    if not latency:
        return Html("")
    step = max(1, -(-latency.runs // _MAX_SAMPLES))
    ticks = "".join(f"M{across(value)} 9v14" for value in sorted(latency.samples_ms)[::step])
    median, p90 = across(latency.median), across(latency.percentile(0.9))
    enough = latency.runs >= MIN_RUNS_P90
    name = (
        f"{row.label}: {units.plural(latency.runs, 'run')}, "
        f"median {units.milliseconds(latency.median)}, "
        f"fastest {units.milliseconds(min(latency.samples_ms))}, "
        f"slowest {units.milliseconds(max(latency.samples_ms))}"
    )
    return tag(
        "svg",
        tag("title", name),
        tag("path", d=f"M{across.start} 16H{across.end}", class_="rule"),
        tag("path", d=ticks, class_=f"ticks scheme-{row.scheme}"),
        tag("path", d=f"M{p90} 5v22", class_="p90") if enough else "",
        tag("path", d=f"M{median} 2v28", class_=f"median scheme-{row.scheme}"),
        viewBox=f"0 0 {_STRIP_WIDTH} {_STRIP_HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label=name,
        class_="strip",
    )


def strip_scale(across: Scale) -> Html:
    """Return the axis under the strips: HTML, since text in a stretched drawing is distorted."""
    text = "{:g}".format if across.log else scale.tick_format(across.ticks)
    marks = [
        tag("span", text(tick), style=f"left:{across(tick) / _STRIP_WIDTH:.2%}")
        for tick in across.ticks
    ]
    return tag("div", marks, class_="strip-scale")


def curves(
    history: Sequence[Epoch],
    *,
    title: str,
    train: Callable[[Epoch], float],
    val: Callable[[Epoch], float],
    within: tuple[float, float],
) -> Html:
    """Draw one value of the history for training and validation, phases set apart."""
    xs = range(1, len(history) + 1)
    lines = {name: [of(e) for e in history] for name, of in (("train", train), ("val", val))}
    across = _epochs(len(history))
    up = scale.around(
        [v for values in lines.values() for v in values], start=BOTTOM, end=TOP, within=within
    )
    drawn = [
        tag("path", d=path([(across(x), up(v)) for x, v in zip(xs, values, strict=True)]),
            class_=f"curve {name}")
        for name, values in lines.items()
    ]  # fmt: skip
    dots = [
        tag(
            "circle",
            tag("title", f"epoch {x} ({e.phase}): train {train(e):.4g}, validation {val(e):.4g}"),
            cx=across(x),
            cy=up(val(e)),
            r=3.2,
            class_="dot val",
        )
        for x, e in zip(xs, history, strict=True)
    ]
    axes = frame(across, up, x_label="epoch", y_label=title)
    name = f"{title} over {units.plural(len(history), 'epoch')}"
    return svg(name, _phases(history, across), axes, drawn, dots)


def _epochs(number: int) -> Scale:
    step = max(1, -(-number // 8))
    ticks = tuple(float(i) for i in range(1, number + 1, step))
    return Scale(low=0.5, high=number + 0.5, start=LEFT, end=RIGHT, ticks=ticks)


def _phases(history: Sequence[Epoch], across: Scale) -> Html:
    """Name the phases and draw a line where the next one begins."""
    parts: list[Html] = []
    at = 1
    for phase, group in itertools.groupby(history, key=lambda epoch: epoch.phase):
        left = across(at - 0.5)
        if at > 1:
            parts.append(tag("path", d=f"M{left} {TOP}V{BOTTOM}", class_="phase"))
        parts.append(tag("text", phase[:16], x=left + 3, y=TOP - 5, class_="phase-name"))
        at += len(list(group))
    return tag("g", parts)


def frame(across: Scale, up: Scale, *, x_label: str, y_label: str) -> Html:
    """Draw grid, numbers and labels of both axes."""
    x_text = "{:g}".format if across.log else scale.tick_format(across.ticks)
    y_text = scale.tick_format(up.ticks)
    grid = "".join(f"M{LEFT} {up(tick)}H{RIGHT}" for tick in up.ticks)
    base = f"M{LEFT} {BOTTOM}H{RIGHT}" + "".join(f"M{across(t)} {BOTTOM}v4" for t in across.ticks)
    numbers = [
        *(
            tag(
                "text",
                x_text(t),
                x=across(t),
                y=BOTTOM + 17,
                text_anchor=_anchor(across(t), _WIDTH),
            )
            for t in across.ticks
        ),
        *(tag("text", y_text(t), x=LEFT - 7, y=up(t) + 3.8, text_anchor="end") for t in up.ticks),
    ]
    middle_x, middle_y = (LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2
    turned = f"translate(11 {middle_y}) rotate(-90)"
    return join(
        tag("path", d=grid, class_="grid"),
        tag("path", d=base, class_="axis"),
        tag("g", numbers, class_="numbers"),
        tag("text", x_label, x=middle_x, y=_HEIGHT - 6, text_anchor="middle", class_="label"),
        tag("text", y_label, transform=turned, text_anchor="middle", class_="label"),
    )


def _mark(row: Row, x: float, y: float, cost: str, *, is_best: bool) -> Html:
    extra = "invalid" if row.doubts else ""
    parts = [marker(row.format, row.scheme, x=x, y=y, extra=extra)]
    if is_best:
        parts.insert(0, tag("circle", cx=x, cy=y, r=10.5, class_="halo"))
    told = units.share(row.top1.value) if row.top1 else units.NONE
    doubt = f"; not to be trusted: {'; '.join(row.doubts)}" if row.doubts else ""
    return tag("g", tag("title", f"{row.label}: {told} right, {cost}{doubt}"), parts)


def _whisker(x: float, interval: tuple[float, float], up: Scale) -> Html:
    low, high = up(100 * interval[0]), up(100 * interval[1])
    return tag("path", d=f"M{x} {low}V{high}M{x - 3} {low}h6M{x - 3} {high}h6", class_="whisker")


def _joined(points: Sequence[Point]) -> Html:
    if len(set(points)) < 2:
        return Html("")
    return tag("path", d=path(sorted(points)), class_="joined")


def path(points: Sequence[Point]) -> str:
    """Return what a line through points is called in a drawing."""
    return "M" + "L".join(f"{x} {y}" for x, y in points)


def _anchor(x: float, right: float) -> str:
    """Keep the numbers at the border inside the drawing."""
    if x < 12:
        return "start"
    return "end" if x > right - 12 else "middle"


def svg(name: str, *content: str | Sequence[str]) -> Html:
    """Put a plot's parts together; its name is what is read out."""
    size = f"0 0 {_WIDTH} {_HEIGHT}"
    return tag("svg", *content, viewBox=size, role="img", aria_label=name, class_="plot")
