"""The section of drawings: what accuracy costs, and how steady each latency is."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.report import plots, units
from edgecnn.report.html import Html, join, named, tag
from edgecnn.report.rows import Row, files
from edgecnn.report.table import swatch


def section(rows: Sequence[Row], best: Row | None) -> Html:
    """Return the sections, or nothing where there is nothing to draw."""
    return join(_costs(rows, best), _strips(rows))


def _costs(rows: Sequence[Row], best: Row | None) -> Html:
    per_file = [row for row in files(rows) if row is not best]
    drawn = [
        (plots.LATENCY, plots.accuracy_against(plots.LATENCY, rows, best)),
        # A file's size doesn't depend on threads: one mark each, the chosen row's among them.
        (plots.SIZE, plots.accuracy_against(plots.SIZE, _once(per_file, best), best)),
        (plots.MEMORY, plots.accuracy_against(plots.MEMORY, rows, best)),
    ]
    panels = [
        tag("figure", tag("figcaption", cost.title), drawing, class_="panel")
        for cost, drawing in drawn
        if drawing
    ]
    if not panels:
        return Html("")
    return tag(
        "section",
        tag("h2", "What accuracy costs"),
        tag(
            "p",
            "Better is up and to the left. The thin upright bars show how sure each accuracy is, "
            "given its number of photos: where they overlap widely, the files may be equally good.",
        ),
        tag("div", panels, class_="columns"),
        _legend(rows, best),
    )


def _once(others: Sequence[Row], best: Row | None) -> list[Row]:
    if best is None:
        return list(others)
    return [best, *(row for row in others if row.sha256 != best.sha256)]


def _legend(rows: Sequence[Row], best: Row | None) -> Html:
    names = {"tflite": "TFLite", "onnx": "ONNX", "ort": "ORT"}
    kinds = dict.fromkeys((row.format, row.scheme) for row in rows if row.top1)
    entries = [
        tag("li", swatch(kind, scheme), f"{scheme}, {names.get(kind, kind)}")
        for kind, scheme in kinds
    ]
    if any(row.doubts for row in rows):
        entries.append(tag("li", "hollow: a latency not to be trusted"))
    if best:
        entries.append(tag("li", f"ringed: {best.file}"))
    return tag("ul", entries, class_="legend")


def _strips(rows: Sequence[Row]) -> Html:
    timed = [row for row in rows if row.measurement and row.measurement.latency_ms]
    across = plots.strip_axis(timed)
    if across is None:
        return Html("")
    cells = [
        (
            tag("div", named(row.file), tag("small", row.setting)),
            tag("div", plots.strip(row, across), class_="across"),
            tag("div", units.milliseconds(row.median_ms), class_="num"),
        )
        for row in timed
    ]
    # On a phone the name and the number share a line, and the strip comes below.
    ordered = [part for name, drawing, number in cells for part in (name, drawing, number)]
    scale = tag("div", tag("span", "milliseconds", class_="soft small"))
    return tag(
        "section",
        tag("h2", "Latency, run by run"),
        tag(
            "p",
            "Each thin line is one inference; the coloured bar is the median, the dark one the "
            "point that 90 % stay below. Narrow is steady.",
        ),
        tag(
            "div",
            tag(
                "div",
                ordered,
                scale,
                tag("div", plots.strip_scale(across), class_="across"),
                tag("div"),
                class_="strips",
            ),
            class_="panel",
        ),
    )
