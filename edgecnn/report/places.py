"""A section for each target: who is fastest there, what threads gain, where memory goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgecnn.core.measurement import Measurement
from edgecnn.report import units
from edgecnn.report.collect import Collected, Examined
from edgecnn.report.html import Html, breakable, join, tag
from edgecnn.report.rows import Row
from edgecnn.report.scaling import memory_bars, thread_scaling

_LEVELS = {"error": "no", "warning": "doubtful", "note": "soft", "ok": "yes"}


def section(rows: Sequence[Row], collected: Collected) -> Html:
    """Return the sections, or nothing where nothing was measured or examined."""
    by_target: dict[str, list[Row]] = {}
    for row in rows:
        if row.measurement is not None:
            by_target.setdefault(row.measurement.target, []).append(row)
    examined = {one.target: one for one in collected.examined}
    names = list(dict.fromkeys([*by_target, *examined]))
    sections = [
        _target(index, name, by_target.get(name, []), examined.get(name))
        for index, name in enumerate(names)
    ]
    return join(_list(names) if len(names) > 1 else "", sections)


def _list(names: Sequence[str]) -> Html:
    links = [tag("li", tag("a", name, href=f"#target-{i}")) for i, name in enumerate(names)]
    return tag(
        "section",
        tag("h2", "Target by target"),
        tag("ul", links, class_="legend"),
    )


def _target(index: int, name: str, rows: Sequence[Row], examined: Examined | None) -> Html:
    panels = [
        tag("figure", tag("figcaption", title), drawing, class_="panel")
        for title, drawing in (
            ("What threads gain", thread_scaling(rows)),
            ("Memory, at its highest", memory_bars(rows)),
        )
        if drawing
    ]
    findings = _findings(examined) if examined else Html("")
    if not panels and not findings and not any(row.predicted for row in rows):
        return Html("")
    return tag(
        "section",
        tag("h2", f"On {name}{_board(rows)}"),
        tag("p", breakable(" ".join(_words(rows)))),
        tag("div", panels, class_="columns place") if panels else "",
        findings,
        id=f"target-{index}",
    )


def _board(rows: Sequence[Row]) -> str:
    """Name the board or the CPU, as it tells itself."""
    machines = [row.measurement.machine for row in rows if row.measurement]
    told = dict.fromkeys(str(m.get("board") or m.get("cpu") or "") for m in machines)
    known = [name for name in told if name]
    return f": {known[0]}" if len(known) == 1 else ""


def _words(rows: Sequence[Row]) -> list[str]:
    """Say what is fastest there, and what of it is no measured time."""
    timed = [row for row in rows if row.valid and row.median_ms is not None]
    counted = [row for row in rows if not row.doubts and row.instructions is not None]
    guessed = [row for row in rows if row.predicted]
    doubtful = [row for row in rows if row.doubts]
    lines = []
    if timed:
        best = min(timed, key=lambda row: row.median_ms or 0.0)
        lines.append(f"The fastest is {_named(best)}: {units.milliseconds(best.median_ms)}.")
    if counted:
        least = min(counted, key=lambda row: row.instructions or 0)
        lines.append(
            f"{_named(least)} takes the fewest instructions, {units.count(least.instructions)}; "
            "an emulated board has no latency."
        )
    if guessed and (told := guessed[0].measurement) and told.prediction:
        lines.append(f"Nothing ran here: {told.prediction.sentence}.")
    lines += _sensed([row.measurement for row in rows if row.measurement])
    if doubtful:
        rows_of = f"{len(doubtful)} of {units.plural(len(rows), 'row')}"
        lines.append(f"{rows_of} can't be trusted; the table says why.")
    return lines


def _sensed(rows: Sequence[Measurement]) -> list[str]:
    """Say what sensors told through the runs."""
    samples = [sample for row in rows for sample in _samples(row)]
    energies = [row.energy_mj / row.batch for row in rows if row.energy_mj is not None]
    told = [
        (name, [s[key] for s in samples if isinstance(s.get(key), int | float)], unit)
        for name, key, unit in (("Heat", "temperature_c", "°C"), ("Clock", "clock_mhz", "MHz"))
    ]
    told.append(("Energy of an image, whole processor", energies, "mJ"))
    return [
        f"{name}: {min(values):,.5g} to {max(values):,.5g} {unit}."
        for name, values, unit in told
        if values
    ]


def _samples(row: Measurement) -> list[Mapping[str, Any]]:
    told = row.machine.get("sampled")
    return [one for one in told if isinstance(one, Mapping)] if isinstance(told, list) else []


def _named(row: Row) -> str:
    told = row.measurement
    words = (told.runtime, units.plural(told.threads, "thread"), told.variant) if told else ()
    return ", ".join(filter(None, (row.file, *words)))


def _findings(examined: Examined) -> Html:
    """List what `doctor` found: what is wrong is open, what is right is folded."""
    order = sorted(examined.findings, key=lambda f: list(_LEVELS).index(f.level))
    loud = [f for f in order if f.level in ("error", "warning")]
    quiet = [f for f in order if f not in loud]
    items = {
        kind: [
            tag(
                "li",
                tag("b", f.check, class_=_LEVELS[f.level]),
                f" {f.what}",
                tag("small", f" → {f.fix}", class_="soft") if f.fix else "",
            )
            for f in found
        ]
        for kind, found in (("loud", loud), ("quiet", quiet))
    }
    verdict = "usable" if examined.usable else "not usable"
    return tag(
        "div",
        tag("h3", f"Doctor: {verdict}"),
        tag("ul", items["loud"], class_="findings") if loud else "",
        tag(
            "details",
            tag("summary", f"{units.plural(len(quiet), 'check')} without complaint"),
            tag("ul", items["quiet"], class_="findings"),
        )
        if quiet
        else "",
        class_="panel",
    )
