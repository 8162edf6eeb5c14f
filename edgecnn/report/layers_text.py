"""What quantization does to each layer, in words and as a table for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.core.noise import AgainstFile, LayerNoise, Noise
from edgecnn.report import units
from edgecnn.report.text import new_table, plain_text

if TYPE_CHECKING:
    from rich.table import Table

_SHOWN = 20
_FEW = 3
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


def against_sentence(found: AgainstFile) -> str:
    """Say how many answers a file changes, and where the signal is worst."""
    known = [layer for layer in found.layers if layer.sqnr_db is not None]
    worst = sorted(known, key=lambda layer: layer.sqnr_db or 0.0)[:_FEW]
    changed = f"{found.flips:,} of {units.plural(found.n, 'answer')} changed"
    if not worst:
        return f"{found.file} computes what the float network does; {changed}."
    told = ", ".join(f"{layer.label} ({decibels(layer.sqnr_db)})" for layer in worst)
    return f"{found.file}: {changed}; least signal to error at {told}."


def against_about(found: AgainstFile) -> str:
    """Say what could be matched on what, and what couldn't."""
    named = sum(layer.found == "name" for layer in found.layers)
    of = len(found.layers) + len(found.missing)
    others = f"{units.plural(found.others, 'tensor')} of the file {_stand(found.others)} for none"
    some = ", ".join(found.missing[:_FEW]) + (", ..." if len(found.missing) > _FEW else "")
    return (
        f"{len(found.layers)} of {units.plural(of, 'layer')} found in the file ({named} by name, "
        f"{len(found.layers) - named} by values), {len(found.missing)} not"
        f"{f' ({some})' if some else ''}; {others}. {units.plural(found.n, 'photo')}"
        f"{f' of {found.data}' if found.data else ''}, tensors on {found.n_detailed:,} of them"
    )


def _stand(count: int) -> str:
    return "stands" if count == 1 else "stand"


def against_table(found: AgainstFile) -> Table:
    """Return the layers in the network's order, beside the file's tensors."""
    macs = sum(layer.macs for layer in found.layers)
    table = new_table(
        "layer", "operation", ">MACs", ">SQNR", ">cut off", ">grid", ">float range", "in the file"
    )
    for layer in found.layers:
        has_grid = layer.low is not None and layer.high is not None
        table.add_row(
            plain_text(layer.label),
            plain_text(layer.operation.lower().replace("_", " ")),
            units.share(layer.macs / macs if macs else None),
            decibels(layer.sqnr_db),
            units.share(layer.saturated),
            f"{layer.low:.3g}..{layer.high:.3g}" if has_grid else layer.dtype,
            f"{layer.seen_low:.3g}..{layer.seen_high:.3g}",
            "by name" if layer.found == "name" else plain_text(layer.tensor[-40:]),
        )
    return table


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
