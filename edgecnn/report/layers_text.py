"""What quantization does to each layer, in words and as a table for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.core.noise import LayerNoise, Noise
from edgecnn.report import units
from edgecnn.report.text import new_table, plain_text

if TYPE_CHECKING:
    from rich.table import Table

_SHOWN = 20
# Fewer changed answers than these may be others by chance on other photos.
_ENOUGH_FLIPS = 5
_HALF = 0.5


def sentence(noise: Noise) -> str:
    """Say which layers make the noise, and what the answers would be without it."""
    names = noise.loudest
    if not names:
        return "No layer adds noise: the file computes what the float network does."
    share = sum(noise.shares[name] for name in names)
    who, many = _listed(names), len(names) > 1
    relief = noise.relief
    if relief and noise.flips >= _ENOUGH_FLIPS and relief.flips <= _HALF * noise.flips:
        what = f"{who} {'cause' if many else 'causes'} most of the flips"
    elif share >= _HALF:
        what = f"{who} {'make' if many else 'makes'} most of the noise in the scores"
    else:
        verb = "are" if many else "is"
        what = f"The noise in the scores comes from many layers; the noisiest {verb} {who}"
    return f"{what} ({units.share(share)} of the noise); {_answers(noise)}."


def _answers(noise: Noise) -> str:
    photos = units.plural(noise.n, "answer")
    if not noise.flips:
        return f"none of {photos} changed"
    changed = f"{noise.flips:,} of {photos} changed"
    if noise.relief is None:
        return changed
    them = "them" if len(noise.relief.layers) > 1 else "it"
    return f"{changed}, and with {them} in float {noise.relief.flips:,}"


def _listed(names: tuple[str, ...]) -> str:
    if len(names) < 2:
        return names[0]
    return f"{', '.join(names[:-1])} and {names[-1]}"


def layers_table(noise: Noise) -> Table:
    """Return the noisiest layers, one line each; moved values make no noise of their own."""
    shares = noise.shares
    ranked = sorted(noise.layers, key=lambda layer: -shares[layer.label])
    noisy = [layer for layer in ranked if layer.noise]
    found = new_table(
        "layer",
        "operation",
        *(
            ">MACs",
            *([">time"] if noise.timed else []),
            ">noise",
            ">flips alone",
            ">SQNR",
            ">alone",
            ">cut off",
            ">range",
            ">spread",
        ),
    )
    for layer in noisy[:_SHOWN]:
        found.add_row(
            plain_text(layer.label),
            plain_text(layer.operation.lower().replace("_", " ")),
            units.share(layer.macs / noise.macs if noise.macs else None),
            *([units.share(noise.time_share(layer))] if noise.timed else []),
            units.share(shares[layer.label]),
            units.count(layer.flips),
            decibels(layer.sqnr_db),
            decibels(layer.sqnr_alone_db),
            units.share(layer.saturated),
            range_of(layer),
            units.NONE if layer.weight_spread is None else f"{units.times(layer.weight_spread)}×",
        )
    if (hidden := len(noisy) - _SHOWN) > 0:
        found.add_row(f"... and {units.plural(hidden, 'quieter one')}")
    return found


def decibels(value: float | None) -> str:
    """Return a ratio of powers: ``31.4 dB``."""
    return units.NONE if value is None else f"{value:.1f} dB"


def range_of(layer: LayerNoise) -> str:
    """Return what the grid reaches: ``-2.31..6``."""
    low, high = (f"{value:.3g}" for value in (layer.low, layer.high))
    return f"{low}..{high}"


def about(noise: Noise) -> str:
    """Say what was measured on what."""
    data = f" of {noise.data}" if noise.data else ""
    times = f"; times: {noise.timed}" if noise.timed else ""
    return (
        f"{noise.file or 'int8'} against float on {units.plural(noise.n, 'photo')}{data}; "
        f"each layer alone on {noise.n_alone:,} of them{times}"
    )
