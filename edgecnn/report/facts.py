"""The last sections: the machines, the commands, and how to read the page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from edgecnn.core.measurement import Measurement
from edgecnn.report import units
from edgecnn.report.collect import Collected
from edgecnn.report.html import Html, join, tag

# Facts of the machine that hold for all its rows; the others belong to one run.
_STEADY = ("board", "cpu", "arch", "cores", "os", "python", "numpy", "governor")
_NAMES = {
    "cpu": "CPU",
    "os": "System",
    "arch": "Architecture",
    "numpy": "NumPy",
    "load": "Load average",
    "others_share": "Other processes took",
    "steal_share": "The host took",
    "waiting_share": "Waited for a core",
}

_READING = (
    ("Right answers (top-1)",
     "The share of photos whose most probable class is the true one, with the number of photos. "
     "The range beside it is what 95 of 100 draws of so many photos would give."),
    ("Agreement",
     "The share of photos on which the file gives its checkpoint's answer, right or wrong. A "
     "quantized file can be as accurate as the float model and still answer differently."),
    ("Median and 90 %",
     "Half of the inferences took no longer than the median, nine of ten no longer than the other. "
     "With fewer than 64 runs there is no 90th percentile, with fewer than 662 no 99th."),
    ("Load and first",
     "Loading the file and the first inference cost more than all later ones; they are never part "
     "of the median. Preparing the photo and reading the answer are timed apart, too."),
    ("Memory",
     "The highest resident size of a process that does nothing but run this file, Python "
     "included. The arena is what the activations need; 1 MB is a million bytes."),
    ("Valid",
     "A latency counts only if the machine was quiet, its clock steady and the runs were many. "
     "Otherwise the row says why, and its mark is hollow."),
    ("Schemes",
     "float32 is the model as trained; float16 halves the file; dynamic keeps 8-bit weights and "
     "float activations; int8 computes in integers from the first layer to the last."),
)  # fmt: skip


def section(collected: Collected, commands: Sequence[str]) -> Html:
    """Return the machines, the commands and what was passed over."""
    return join(_machines(collected.measurements), _commands(commands), _notes(collected.notes))


def reading() -> Html:
    """Return the explanations of the page's terms."""
    items = [tag("div", tag("dt", term), tag("dd", text)) for term, text in _READING]
    return tag("section", tag("h2", "How to read this page"), tag("dl", items, class_="reading"))


def _machines(measurements: Sequence[Measurement]) -> Html:
    machines: dict[str, list[Measurement]] = {}
    for row in measurements:
        steady = {name: row.machine[name] for name in _STEADY if row.machine.get(name) is not None}
        if steady:
            key = json.dumps([row.target, steady], sort_keys=True)
            machines.setdefault(key, []).append(row)
    if not machines:
        return Html("")
    panels = [_machine(rows) for rows in machines.values()]
    title = "Measured on" if len(panels) == 1 else f"Measured on {len(panels)} machines"
    return tag("section", tag("h2", title), tag("div", panels, class_="columns two"))


def _machine(rows: Sequence[Measurement]) -> Html:
    first = rows[0]
    facts = {"Target": first.target}
    facts |= {_label(k): _value(k, first.machine[k]) for k in _STEADY if k in first.machine}
    runtimes = sorted({f"{row.runtime} {row.runtime_version}" for row in rows})
    facts["Runtimes"] = ", ".join(runtimes)
    facts |= _ranges(rows)
    facts["When"] = _span([row.when[:16].replace("T", " ") + " UTC" for row in rows])
    items = [(tag("dt", name), tag("dd", text)) for name, text in facts.items() if text]
    return tag(
        "div", tag("dl", [part for pair in items for part in pair], class_="facts"), class_="panel"
    )


def _ranges(rows: Sequence[Measurement]) -> Mapping[str, str]:
    """Return what differed from run to run, from the least to the most."""
    found: dict[str, str] = {}
    names = dict.fromkeys(name for row in rows for name in row.machine if name not in _STEADY)
    for name in names:
        values = [row.machine[name] for row in rows if _is_number(row.machine.get(name))]
        if values and not name.endswith("_end"):
            low, high = _value(name, min(values)), _value(name, max(values))
            found[_label(name)] = low if low == high else f"{low} to {high}"
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _label(name: str) -> str:
    plain = name
    for suffix in ("_mhz", "_c", "_share"):
        plain = plain.removesuffix(suffix)
    return _NAMES.get(name, plain.replace("_", " ").capitalize())


def _value(name: str, value: Any) -> str:
    if name == "governor" and value is None:
        return "not told"
    if not _is_number(value):
        return "" if value is None else str(value)
    if name.endswith("_share"):
        return units.share(value)
    if name.endswith("_mhz"):
        return f"{value:,.0f} MHz"
    return f"{value:.0f} °C" if name.endswith("_c") else f"{round(value, 2):g}"


def _span(values: Sequence[str]) -> str:
    first, last = min(values), max(values)
    return first if first == last else f"{first} to {last}"


def _commands(commands: Sequence[str]) -> Html:
    if not commands:
        return Html("")
    return tag(
        "section",
        tag("h2", "Make it again"),
        tag("p", "The commands that made the files and this page."),
        tag("pre", tag("code", "\n".join(commands))),
    )


def _notes(notes: Sequence[str]) -> Html:
    if not notes:
        return Html("")
    return tag(
        "section",
        tag("h2", "Passed over"),
        tag("ul", [tag("li", note, class_="name") for note in notes], class_="small soft"),
    )
