"""The report: one HTML file that needs nothing else, readable on a phone and on paper."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from edgecnn.report import (
    facts,
    figures,
    layers,
    operations,
    places,
    table,
    training,
    units,
    verification,
)
from edgecnn.report.collect import Collected
from edgecnn.report.html import Html, breakable, join, tag
from edgecnn.report.rows import build
from edgecnn.report.verdict import Verdict, judge

_HERE = Path(__file__).parent
_LOGO = Html(
    '<svg viewBox="0 0 24 24" aria-hidden="true"><rect x="1" y="9" width="4" height="14" rx="1"/>'
    '<rect x="7" y="5" width="4" height="18" rx="1"/><rect x="13" y="12" width="4" height="11" '
    'rx="1"/><rect x="19" y="1" width="4" height="22" rx="1"/></svg>'
)


def render(collected: Collected, *, commands: Sequence[str] = ()) -> str:
    """Return the page.

    Args:
        collected: What it is made of.
        commands: What was typed to make it, in order.
    """
    rows = build(collected)
    verdict = judge(rows, collected)
    sections = (
        table.section(rows, verdict.best),
        figures.section(rows, verdict.best),
        places.section(rows, collected),
        operations.section(collected),
        verification.section(collected.parities, verdict.best),
        layers.section(collected.noises),
        *(training.section(card) for card in collected.cards),
        facts.section(collected, commands),
        facts.reading(),
    )
    body = join(
        tag("a", "Skip to the table", href="#files", class_="skip"),
        _header(verdict, collected),
        tag("main", sections),
        tag("footer", tag("p", "Made by edgecnn from the JSON beside the files it describes.")),
    )
    return _document(_title(verdict, collected), body, class_=verdict.tone)


def _document(title: str, body: Html, *, class_: str) -> str:
    style, script = _asset("page.css"), _asset("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # The page asks nobody for anything, and runs no script but its own.
    policy = (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="generator", content="edgecnn"),
        tag("title", title),
        tag("link", rel="icon", href="data:,"),
        tag("style", Html(style)),
    )
    page = tag(
        "html", head, tag("body", body, tag("script", Html(script)), class_=class_), lang="en"
    )
    return f"<!doctype html>\n{page}\n"


def _asset(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _title(verdict: Verdict, collected: Collected) -> str:
    name = verdict.best.file if verdict.best else next((c.name for c in collected.cards), "files")
    return f"{name} · edgecnn report"


def _header(verdict: Verdict, collected: Collected) -> Html:
    return tag(
        "header",
        tag(
            "p",
            _LOGO,
            tag("span", tag("b", "edgecnn"), " report", _about(collected)),
            class_="brand",
        ),
        tag("h1", breakable(verdict.headline)),
        tag("p", breakable(verdict.because), class_="because"),
        _tiles(verdict),
        _remarks(verdict.remarks),
    )


def _about(collected: Collected) -> str:
    """Name the model and when it was measured."""
    parts = [f"{c.name}, {c.arch}" for c in collected.cards[:1]]
    days = sorted({m.when[:10] for m in collected.measurements})
    parts += [days[-1]] if days else []
    return f" · {' · '.join(parts)}" if parts else ""


def _tiles(verdict: Verdict) -> Html:
    """Show the chosen row's numbers; a number that nobody knows gets no tile."""
    best = verdict.best
    if best is None:
        return Html("")
    tiles: list[tuple[str, str, str]] = []
    if best.top1:
        low, high = best.top1.interval
        of = f"of {units.plural(best.top1.n, 'photo')}; " if best.top1.n else ""
        sure = f"{of}likely {100 * low:.1f} to {100 * high:.1f} %" if best.top1.n else ""
        tiles.append(("Right answers", units.share(best.top1.value), sure))
    if best.agreement:
        same = "of the answers are the checkpoint's"
        tiles.append(("Agreement", units.percent(best.agreement.pct), same))
    if best.median_ms is not None:
        p90 = f"90 % within {units.milliseconds(best.p90_ms)}" if best.p90_ms else ""
        tiles.append(("Median latency", units.milliseconds(best.median_ms), p90))
    if best.bytes is not None:
        tiles.append(("File size", units.bytes_(best.bytes), f"{best.scheme}, {best.format}"))
    if best.memory_mb is not None:
        tiles.append(("Peak memory", units.megabytes(best.memory_mb), best.setting))
    items = [
        tag("div", tag("dt", name), tag("dd", value, tag("small", note) if note else ""))
        for name, value, note in tiles
    ]
    return tag("dl", items, class_="tiles")


def _remarks(remarks: Sequence[str]) -> Html:
    if not remarks:
        return Html("")
    return tag("ul", [tag("li", breakable(remark)) for remark in remarks], class_="remarks")
