"""The section of layers: which of them quantization hurts, and what the answers make of it."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.core.noise import LayerNoise, Noise
from edgecnn.report import units
from edgecnn.report.html import Html, breakable, join, named, tag
from edgecnn.report.layers_svg import chart_of_page
from edgecnn.report.layers_text import about, decibels, range_of, sentence

_SHOWN = 12
_COLUMNS = ("Layer", "Noise", "Flips alone", "SQNR", "Alone", "Cut off", "Range", "Spread", "MACs",
            "Time")  # fmt: skip


def section(found: Sequence[Noise]) -> Html:
    """Return the section, or nothing where no layers were measured."""
    if not found:
        return Html("")
    return tag(
        "section",
        tag("h2", "What integers do to each layer"),
        tag(
            "p",
            "Noise is how far the lead of the first answer over the second moves when this layer "
            "alone is quantized, on the half of the photos where that lead is small. Signal to "
            "error (SQNR) compares a layer's output with the float network's: alone, and in the "
            "file, where the errors of all layers before it come in.",
        ),
        [_panel(noise) for noise in found],
    )


def _panel(noise: Noise) -> Html:
    advice = [tag("li", line) for line in noise.advice]
    return tag(
        "div",
        tag("h3", named(noise.file or "int8")),
        tag("p", breakable(sentence(noise))),
        tag("figure", chart_of_page(noise), class_="scroll"),
        tag("p", about(noise), class_="soft small"),
        tag("ul", advice, class_="small soft") if advice else "",
        _table(noise),
        class_="panel",
    )


def _table(noise: Noise) -> Html:
    ranked = sorted(noise.layers, key=lambda layer: -layer.noise)
    noisy = [layer for layer in ranked if layer.noise][:_SHOWN]
    if not noisy:
        return Html("")
    first, *others = _COLUMNS if noise.timed else _COLUMNS[:-1]
    head = tag("tr", tag("th", first, scope="col", class_="left"), [
        tag("th", name, scope="col") for name in others
    ])  # fmt: skip
    lines = [_line(noise, layer) for layer in noisy]
    return tag(
        "details",
        tag("summary", f"The {units.plural(len(noisy), 'noisiest layer')} in numbers"),
        tag("div", tag("table", tag("thead", head), tag("tbody", lines)), class_="scroll"),
    )


def _line(noise: Noise, layer: LayerNoise) -> Html:
    spread = layer.weight_spread
    cells = (
        units.share(noise.shares[layer.label]),
        units.count(layer.flips),
        decibels(layer.sqnr_db),
        decibels(layer.sqnr_alone_db),
        units.share(layer.saturated),
        range_of(layer),
        units.NONE if spread is None else f"{units.times(spread)}×",
        units.share(layer.macs / noise.macs if noise.macs else None),
        *([units.share(noise.time_share(layer))] if noise.timed else []),
    )
    name = tag("th", named(layer.label), tag("small", layer.operation.lower()), scope="row")
    return join(tag("tr", name, [tag("td", cell, class_="num") for cell in cells]))
