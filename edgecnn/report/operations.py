"""The section of operations: where the time of an inference goes, beside each layer's error."""

from __future__ import annotations

from collections.abc import Mapping

from edgecnn.core.labels import labels_of, layer_of
from edgecnn.core.measurement import Measurement, OpTime
from edgecnn.core.noise import LayerNoise, Noise
from edgecnn.report import units
from edgecnn.report.collect import Collected
from edgecnn.report.html import Html, breakable, join, named, tag
from edgecnn.report.layers_text import decibels
from edgecnn.report.text import operations_total

_SHOWN = 15


def section(collected: Collected) -> Html:
    """Return the section, or nothing where no operations were timed."""
    timed = [row for row in collected.measurements if row.per_op]
    if not timed:
        return Html("")
    noises = {noise.file: noise for noise in collected.noises if noise.file}
    with_error = any(row.model in noises for row in timed)
    error = (
        " Beside it stands the layer's error: the share of the answers' noise that it makes when "
        "it alone is quantized, and the signal over the error of its output in the file."
    )
    return tag(
        "section",
        tag("h2", "Where the time of an inference goes"),
        tag("p", f"As the runtime's own profiler tells.{error if with_error else ''}"),
        [_panel(row, noises.get(row.model)) for row in timed],
    )


def _panel(row: Measurement, noise: Noise | None) -> Html:
    ran = sorted((op for op in row.per_op if op.ms is not None), key=lambda op: -(op.ms or 0.0))
    setting = f"{row.target}, {row.runtime}, {units.plural(row.threads, 'thread')}"
    layers = _layers(noise)
    has_roof = any(op.roof_share is not None for op in ran)
    heads = ["Operation", "Share", "Time", *(["Noise", "SQNR"] if noise else []), "MACs"]
    heads += ["Of the roof"] if has_roof else []
    labels = labels_of({op.name or op.operation: op.operation for op in row.per_op})
    lines = [_line(op, labels, noise, layers, has_roof=has_roof) for op in ran[:_SHOWN]]
    first, *others = heads
    head = tag("tr", tag("th", first, scope="col", class_="left"),
               [tag("th", name, scope="col") for name in others])  # fmt: skip
    more = len(ran) - len(lines)
    return tag(
        "div",
        tag("h3", named(row.model), tag("small", f" {setting}", class_="soft")),
        tag("div", tag("table", tag("thead", head), tag("tbody", lines)), class_="scroll"),
        tag("p", breakable(_total(row, len(row.per_op) - len(ran), more)), class_="soft small"),
        class_="panel",
    )


def _total(row: Measurement, without: int, more: int) -> str:
    text = operations_total(row, without)
    return f"{text}; {units.plural(more, 'shorter one')} not shown" if more > 0 else text


def _layers(noise: Noise | None) -> dict[str, LayerNoise]:
    return {layer.name: layer for layer in noise.layers} if noise else {}


def _line(
    op: OpTime,
    labels: Mapping[str, str],
    noise: Noise | None,
    layers: Mapping[str, LayerNoise],
    *,
    has_roof: bool,
) -> Html:
    layer = layers.get(layer_of(op.name))
    error = (
        [
            units.share(noise.shares.get(layer.label)) if layer else units.NONE,
            decibels(layer.sqnr_db) if layer else units.NONE,
        ]
        if noise
        else []
    )
    meter = tag("span", class_="meter", style=f"--share:{min(1.0, max(0.0, op.share)):.4f}")
    cells = [
        join(units.share(op.share), meter),
        units.milliseconds(op.ms),
        *error,
        units.rough(op.macs) if op.macs else units.NONE,
        *([units.share(op.roof_share)] if has_roof else []),
    ]
    name = labels[op.name or op.operation]
    kind = op.operation.lower().replace("_", " ")
    head = tag("th", named(name), tag("small", kind), scope="row")
    return tag("tr", head, [tag("td", cell, class_="num") for cell in cells])
