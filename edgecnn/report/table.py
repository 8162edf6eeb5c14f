"""The table of all files: one row a file and setting, sortable."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from edgecnn.core.measurement import MIN_RUNS_P99, Measurement
from edgecnn.report import units
from edgecnn.report.html import Html, join, named, tag
from edgecnn.report.plots import marker
from edgecnn.report.rows import SCHEMES, Row


@dataclasses.dataclass(frozen=True, kw_only=True)
class Column:
    """One column of the sortable table.

    Attributes:
        key: What rows are sorted by; None puts a row at the end.
        cell: What is shown.
        more_is_better: The first click on the header shows the largest first.
        class_: Of the cells.
    """

    title: str
    key: Callable[[Row], float | str | None]
    cell: Callable[[Row], str]
    more_is_better: bool = False
    class_: str | None = "num"


def section(rows: Sequence[Row], best: Row | None) -> Html:
    """Return the section, or nothing where no file was written or measured."""
    if not rows:
        return Html("")
    return tag(
        "section",
        tag("h2", "All files"),
        tag(
            "p",
            "Accuracy is that of the very file, with its photos; latency is the median of single "
            "inferences in a fresh process. Headers sort.",
        ),
        tag("div", _sorter(rows), tag("div", _table(rows, best), class_="scroll"), class_="panel"),
        _details(rows),
        id="files",
    )


def _table(rows: Sequence[Row], best: Row | None) -> Html:
    columns = _columns(rows)
    heads = [
        tag(
            "th",
            tag("button", column.title, type="button"),
            scope="col",
            class_="left" if index == 0 else column.class_,
            data_best="descending" if column.more_is_better else "ascending",
        )
        for index, column in enumerate(columns)
    ]
    lines = [
        tag(
            "tr",
            [_cell(column, row) for column in columns],
            class_=_look(row, best),
        )
        for row in rows
    ]
    dense = " dense" if len(columns) > len(_COLUMNS) - len(_SELDOM) else ""
    body = (tag("thead", tag("tr", heads)), tag("tbody", lines))
    return tag("table", *body, class_=f"sortable wide{dense}")


def _look(row: Row, best: Row | None) -> str | None:
    """Return how a row is shown: what can't be trusted is grey."""
    if row is best:
        return "best"
    if row.predicted:
        return "guess"
    return "greyed" if row.doubts or row.checks_failed else None


def _columns(rows: Sequence[Row]) -> list[Column]:
    """Return the columns: what was predicted, or counted on an emulated board, only if any."""
    shown = [column for column in _COLUMNS if column.title not in _SELDOM]
    place = next(i for i, column in enumerate(shown) if column.title == "Memory")
    for title, there in (
        ("Instructions", any(row.instructions is not None for row in rows)),
        ("Predicted", any(row.predicted for row in rows)),
    ):
        if there:
            shown.insert(place, next(column for column in _COLUMNS if column.title == title))
    return shown


def _cell(column: Column, row: Row) -> Html:
    key = column.key(row)
    value = "" if key is None else str(key)
    if column is _COLUMNS[0]:
        return tag("th", column.cell(row), scope="row", data_value=value)
    return tag(
        "td", column.cell(row), data_value=value, data_label=column.title, class_=column.class_
    )


def _sorter(rows: Sequence[Row]) -> Html:
    """Return the choice that stands in for the headers on a narrow screen."""
    options = [tag("option", c.title, value=str(i)) for i, c in enumerate(_columns(rows))]
    return tag("label", "Sort by", tag("select", options), class_="sorter")


def swatch(row_format: str, scheme: str) -> Html:
    """Draw the mark that stands for a format and scheme in the plots."""
    return tag(
        "svg",
        marker(row_format, scheme, x=7, y=7),
        viewBox="0 0 14 14",
        aria_hidden="true",
        class_="swatch",
    )


def _file(row: Row) -> Html:
    return join(
        swatch(row.format, row.scheme),
        named(row.file),
        tag("small", row.setting),
    )


def _accuracy(row: Row) -> Html:
    if row.top1 is None:
        return Html(units.NONE)
    of = f"of {row.top1.n:,}" if row.top1.n else "n unknown"
    note = tag("small", of, title=f"judged on {row.top1.data}")
    return join(units.share(row.top1.value), note)


def _agreement(row: Row) -> Html:
    if row.agreement is None:
        return Html(units.NONE)
    of = tag("small", f"of {row.agreement.n:,}") if row.agreement.n else ""
    return join(units.percent(row.agreement.pct), of)


def _validity(row: Row) -> Html:
    word = row.validity
    match word:
        case "check failed":
            return _reasons(word, "no", row.checks_failed)
        case "no":
            return _reasons(word, "doubtful", row.doubts)
        case "yes":
            return tag("span", word, class_="yes")
    reasons = row.measurement.invalid_reasons if row.measurement else ()
    return tag("span", word, title="; ".join(reasons), class_="soft")


def _reasons(word: str, class_: str, reasons: Sequence[str]) -> Html:
    told = tag("small", "; ".join(reasons))
    return tag("div", tag("span", word, class_=class_), told, class_="reasons")


def _validity_key(row: Row) -> int:
    if row.checks_failed:
        return 3
    if row.measurement is None:
        return 2
    return 1 if row.doubts else 0


def _guess(row: Row) -> Html:
    """Return a prediction with its range; it is never in the column of latencies."""
    told = row.measurement.predicted_ms if row.measurement else None
    if told is None:
        return Html(units.NONE)
    around = tag("small", f"{told.low:.3g} to {told.high:.3g}")
    return join(units.milliseconds(told.mid), around)


def _counted(row: Row) -> Html:
    """Return instructions in three digits; all of them on request."""
    if row.instructions is None:
        return Html(units.NONE)
    return tag("span", units.rough(row.instructions), title=f"exactly {row.instructions:,}")


def _guess_key(row: Row) -> float | None:
    told = row.measurement.predicted_ms if row.measurement else None
    return told.mid if told else None


_SELDOM = frozenset({"Predicted", "Instructions"})


_COLUMNS = (
    Column(title="File", key=lambda r: r.file, cell=_file),
    Column(
        title="Scheme",
        key=lambda r: SCHEMES.index(r.scheme),
        cell=lambda r: r.scheme,
        class_="left",
    ),
    Column(title="Size", key=lambda r: r.bytes, cell=lambda r: units.bytes_(r.bytes)),
    Column(
        title="Accuracy",
        key=lambda r: r.top1.value if r.top1 else None,
        cell=_accuracy,
        more_is_better=True,
    ),
    Column(
        title="Agreement",
        key=lambda r: r.agreement.pct if r.agreement else None,
        cell=_agreement,
        more_is_better=True,
    ),
    Column(
        title="Median", key=lambda r: r.median_ms, cell=lambda r: units.milliseconds(r.median_ms)
    ),
    Column(
        title="90 % within", key=lambda r: r.p90_ms, cell=lambda r: units.milliseconds(r.p90_ms)
    ),
    Column(title="Predicted", key=_guess_key, cell=_guess),
    Column(
        title="Instructions",
        key=lambda r: r.instructions,
        cell=_counted,
    ),
    Column(title="Memory", key=lambda r: r.memory_mb, cell=lambda r: units.megabytes(r.memory_mb)),
    Column(title="Valid", key=_validity_key, cell=_validity, class_="full"),
)


def _details(rows: Sequence[Row]) -> Html:
    """Return the less often needed numbers, folded."""
    measured = [row for row in rows if row.measurement]
    if not measured:
        return Html("")
    heads = [
        tag("th", name, scope="col", class_=None if i else "left")
        for i, name in enumerate(_DETAILS)
    ]
    lines = [_detail(row, row.measurement) for row in measured if row.measurement]
    content = tag("table", tag("thead", tag("tr", heads)), tag("tbody", lines))
    return tag(
        "details",
        tag("summary", "Where time and memory go"),
        tag("div", tag("div", content, class_="scroll"), class_="panel"),
    )


_DETAILS = (
    *("File", "Load", "First", "Prepare", "Infer", "Answer", "99 % within", "Runs"),
    *("Before", "Arena", "Anonymous", "File-backed", "Peak", "Delegate"),
)


def _detail(row: Row, measured: Measurement) -> Html:
    latency, memory = measured.latency_ms, measured.memory_mb
    ms, mb = units.milliseconds, units.megabytes
    enough = latency is not None and latency.runs >= MIN_RUNS_P99
    cells = (
        ms(latency.init if latency else None),
        ms(latency.first if latency else None),
        ms(measured.preprocess_ms),
        ms(latency.median if latency else None),
        ms(measured.postprocess_ms),
        ms(latency.percentile(0.99) if latency and enough else None),
        units.count(latency.runs if latency else None),
        mb(memory.baseline if memory else None),
        mb(memory.arena if memory else None),
        mb(memory.rss_anon if memory else None),
        mb(memory.rss_file if memory else None),
        mb(memory.rss_peak if memory else None),
        _delegate(measured),
    )
    name = tag("th", named(row.file), tag("small", row.setting), scope="row")
    return tag("tr", name, [tag("td", cell, class_="num") for cell in cells])


def _delegate(measured: Measurement) -> str:
    done, total = measured.delegated_nodes, measured.total_nodes
    told = f", {done} of {total} nodes" if done is not None and total is not None else ""
    return f"{measured.delegate}{told}"
