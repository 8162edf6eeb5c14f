"""A comparison as people read it: a table for the terminal, Markdown for pull requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgecnn.report import units
from edgecnn.report.comparison import Change, Compared, Comparison
from edgecnn.report.gates import Ruling
from edgecnn.report.metrics import METRICS
from edgecnn.report.text import new_table, plain_text

if TYPE_CHECKING:
    from rich.table import Table

_COLUMNS = ("file", "where", "metric", "before", "after", "change", "95 % interval", "")
_VERDICTS = {"same": "same", "noise": "within noise", "better": "better", "worse": "worse"}
_MARKS = {"passed": "passed", "broken": "**BROKEN**", "not judged": "not judged"}


def comparison_table(comparison: Comparison) -> Table:
    """Return one line a subject and metric."""
    table = new_table(*_COLUMNS[:3], *(f">{name}" for name in _COLUMNS[3:7]), _COLUMNS[7])
    for cells in _lines(comparison):
        table.add_row(*(plain_text(cell) for cell in cells))
    return table


def gate_table(rulings: Sequence[Ruling]) -> Table:
    """Return one line a gate and subject; what broke comes first."""
    table = new_table("gate", "file", "where", "ruling", "seen")
    for ruling in _ordered(rulings):
        cells = (ruling.gate, ruling.subject.file, ruling.subject.setting)
        table.add_row(*map(plain_text, (*cells, ruling.status, ruling.detail)))
    return table


def remarks(comparison: Comparison) -> list[str]:
    """Say what could not be compared, and what else changed."""
    lines = [f"only in {comparison.baseline}: {s.label}" for s in comparison.only_before]
    lines += [f"only in {comparison.new}: {s.label}" for s in comparison.only_after]
    for row in comparison.rows:
        label = row.subject.label
        lines += [f"{label}: latencies can't be compared: {doubt}" for doubt in row.doubts]
        lines += [f"{label}: no {METRICS[name].title}: {why}" for name, why in row.missing]
        lines += [f"{label}: {note}" for note in row.notes]
    return lines


def markdown(comparison: Comparison, rulings: Sequence[Ruling]) -> str:
    """Return a comment for a pull request: gates, changes, remarks."""
    parts = ["### What changed\n"]
    if rulings:
        failed = sum(ruling.status == "broken" for ruling in rulings)
        told = f"{units.plural(failed, 'gate')} broken" if failed else "no gate broken"
        blind = sum(ruling.status == "not judged" for ruling in rulings)
        parts.append(f"**{told}**" + (f", {blind} not judged" if blind else "") + "\n")
        rows = [
            (r.gate, r.subject.file, r.subject.setting, _MARKS[r.status], r.detail)
            for r in _ordered(rulings)
        ]
        parts.append(_markdown_table(("gate", "file", "where", "ruling", "seen"), rows, raw=3))
    parts.append(_markdown_table(_COLUMNS, _lines(comparison)))
    notes = [f"- {_escaped(line)}" for line in remarks(comparison)]
    return "\n".join([*parts, *notes]).rstrip() + "\n"


def _lines(comparison: Comparison) -> list[tuple[str, ...]]:
    return [_cells(row, change) for row in comparison.rows for change in row.changes]


def _cells(row: Compared, change: Change) -> tuple[str, ...]:
    metric = METRICS[change.metric]
    verdict = _VERDICTS[change.verdict]
    if metric.timed and row.doubts:
        verdict = "not comparable"
    return (
        row.subject.file,
        row.subject.setting or units.NONE,
        metric.title,
        metric.text(change.before),
        metric.text(change.after),
        _change(change),
        _interval(change),
        verdict,
    )


def _change(change: Change) -> str:
    metric = METRICS[change.metric]
    text = metric.change(change.change)
    if metric.is_share or change.change_pct is None:
        return text
    return f"{text} ({change.change_pct:+.2f} %)"


def _interval(change: Change) -> str:
    metric = METRICS[change.metric]
    if change.interval is None:
        return change.basis
    if metric.is_share or change.interval_pct is None:
        low, high = change.interval
        unit = "points" if metric.is_share else metric.unit
    else:
        (low, high), unit = change.interval_pct, "%"
    return f"{low:+.2f} to {high:+.2f} {unit}"


def _ordered(rulings: Sequence[Ruling]) -> list[Ruling]:
    order = ("broken", "not judged", "passed")
    return sorted(rulings, key=lambda ruling: order.index(ruling.status))


def _markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]], raw: int = -1) -> str:
    """Return a table; the cells of column ``raw`` are Markdown already."""
    head = [" | ".join(columns), " | ".join("---" for _ in columns)]
    body = [
        " | ".join(cell if i == raw else _escaped(cell) for i, cell in enumerate(row))
        for row in rows
    ]
    return "\n".join(f"| {line} |" for line in [*head, *body]) + "\n"


def _escaped(text: str) -> str:
    """Return text that Markdown and HTML take literally: names in files are hostile."""
    plain = "".join(c if c.isprintable() else "\ufffd" for c in text)
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("@", "&#64;")):
        plain = plain.replace(sign, entity)
    return "".join(f"\\{c}" if c in "\\`*_[]|!~" else c for c in plain)


def as_json(comparison: Comparison, rulings: Sequence[Ruling]) -> dict[str, Any]:
    """Return the object that ``compare --json`` prints."""
    from edgecnn.core import schema

    data = schema.encode(comparison)
    for row, compared in zip(data["rows"], comparison.rows, strict=True):
        row["missing"] = dict(compared.missing)
        for change, found in zip(row["changes"], compared.changes, strict=True):
            change["unit"] = METRICS[found.metric].unit
            change["verdict"] = found.verdict
    data["gates"] = schema.encode(tuple(rulings))
    data["passed"] = all(ruling.status != "broken" for ruling in rulings)
    return dict(data)
