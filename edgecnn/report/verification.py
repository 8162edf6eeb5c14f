"""The section of verification: does each file answer what its checkpoint answers?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath

from edgecnn.core.parity import Check, Flip, Pair, Parity, ParityRow
from edgecnn.report import units
from edgecnn.report.html import Html, join, named, tag
from edgecnn.report.rows import Row

# Shown at once, and at all: a page of a thousand photos helps nobody.
_SHOWN_FLIPS = 8
_MAX_FLIPS = 40
_MAX_THUMBNAIL = 40_000
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")


def section(parities: Sequence[Parity], best: Row | None) -> Html:
    """Return the section, or nothing where no file was verified.

    The chosen file's changed answers are shown, those of the others are folded.
    """
    if not parities:
        return Html("")
    return tag(
        "section",
        tag("h2", "Does each file answer as its checkpoint does?"),
        tag(
            "p",
            "Every photo goes through both. Equal accuracy can hide changed answers, so each "
            "changed one is counted and shown.",
        ),
        [_parity(parity, best.sha256 if best else None) for parity in parities],
    )


def _parity(parity: Parity, chosen: str | None) -> Html:
    heads = (
        "File",
        "Right",
        "Drop, points",
        "Same answers",
        "Changed",
        "Largest difference",
        "Checks",
    )
    head = [tag("th", h, scope="col", class_=None if i else "left") for i, h in enumerate(heads)]
    caption = f"Against {PurePath(parity.reference).name or parity.reference}, on {parity.data}"
    table = tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", head)),
        tag("tbody", [_row(row) for row in parity.rows]),
        class_="wide",
    )
    return join(
        tag("div", tag("div", table, class_="scroll"), class_="panel"),
        _pairs(parity.pairs),
        [_flips(row, chosen) for row in sorted(parity.rows, key=lambda r: r.sha256 != chosen)],
    )


def _row(row: ParityRow) -> Html:
    name = named(PurePath(row.path).name)
    cells = (
        ("Right", units.share(row.top1), None),
        ("Drop, points", units.points(row.top1_drop_points), None),
        ("Same answers", units.percent(row.agreement_pct), None),
        ("Changed", f"{len(row.flips):,} of {row.n:,}", None),
        (
            "Largest difference",
            f"{row.max_abs_diff:.2g}",
            f"mean divergence {row.mean_kl:.2g} nats",
        ),
    )
    return tag(
        "tr",
        tag("th", name, scope="row"),
        [
            tag("td", text, data_label=label, title=hint, class_="num")
            for label, text, hint in cells
        ],
        tag("td", _checks(row.checks), data_label="Checks", class_="full"),
    )


def _checks(checks: Sequence[Check]) -> Html:
    failed = [check for check in checks if not check.passed]
    if not failed:
        told = "; ".join(f"{check.name}: {check.detail}" for check in checks)
        return tag("span", f"{len(checks)} passed", class_="yes", title=told)
    lines = [tag("small", f"{check.name}: {check.detail}") for check in failed]
    return tag("div", tag("span", f"{len(failed)} failed", class_="no"), lines, class_="reasons")


def _pairs(pairs: Sequence[Pair]) -> Html:
    if not pairs:
        return Html("")
    ranked = sorted(pairs, key=lambda pair: pair.agreement_pct)
    lines = [
        tag("tr", tag("th", _name(pair.a), " and ", _name(pair.b), scope="row"),
            tag("td", units.percent(pair.agreement_pct), class_="num"))
        for pair in ranked
    ]  # fmt: skip
    head = tag(
        "tr", tag("th", "Two files", scope="col", class_="left"), tag("th", "Agree", scope="col")
    )
    table = tag("table", tag("thead", head), tag("tbody", lines))
    return tag(
        "details",
        tag("summary", f"Files with each other: {units.plural(len(pairs), 'pair')}"),
        tag("div", table, class_="panel"),
    )


def _name(path: str) -> Html:
    return named(PurePath(path).name)


def _flips(row: ParityRow, chosen: str | None) -> Html:
    if not row.flips:
        return Html("")
    # What hurts comes first: answers that were right and now are wrong, then by certainty.
    ranked = sorted(row.flips, key=lambda f: (f.reference != f.label, -f.answer_probability))
    shown, folded = ranked[:_SHOWN_FLIPS], ranked[_SHOWN_FLIPS:_MAX_FLIPS]
    content = [tag("div", map(_flip, shown), class_="flips")]
    if folded:
        title = units.plural(len(folded), "more changed answer")
        title += f" of {len(ranked):,}" if len(ranked) > _MAX_FLIPS else ""
        more = tag("div", map(_flip, folded), class_="flips")
        content.append(tag("details", tag("summary", title), more))
    head = join("Changed answers: ", _name(row.path))
    if row.sha256 == chosen:
        return join(tag("h3", head), tag("p", _balance(row), class_="soft"), content)
    summary = tag("summary", head, tag("span", " ", _balance(row), class_="soft"))
    return tag("details", summary, content)


def _balance(row: ParityRow) -> str:
    """Say what the changes did: lost, gained, or wrong either way."""
    labelled = [flip for flip in row.flips if flip.label is not None]
    if not labelled:
        return f"{len(row.flips):,} of {row.n:,} answers changed."
    lost = sum(flip.reference == flip.label for flip in labelled)
    gained = sum(flip.answer == flip.label for flip in labelled)
    return (
        f"{len(row.flips):,} of {row.n:,} answers changed: {lost} from right to wrong, "
        f"{gained} from wrong to right, {len(labelled) - lost - gained} wrong either way."
    )


def _flip(flip: Flip) -> Html:
    answers = (
        ("Checkpoint", flip.reference, flip.reference_probability),
        ("File", flip.answer, flip.answer_probability),
    )
    facts = [
        join(tag("dt", who), tag("dd", _answer(answer, probability, flip.label)))
        for who, answer, probability in answers
    ]
    truth = f"{flip.image} · truly {flip.label}" if flip.label is not None else flip.image
    return tag(
        "div",
        _thumbnail(flip),
        tag("dl", facts),
        named(truth),
        class_="flip",
    )


def _answer(answer: str, probability: float, label: str | None) -> Html:
    verdict = "" if label is None else "yes" if answer == label else "no"
    sign = {"yes": " ✓", "no": " ✗", "": ""}[verdict]
    share = min(max(probability, 0.0), 1.0)
    return join(
        tag("b", answer, sign, class_=verdict or None),
        tag("br"),
        units.share(share),
        tag("span", class_="meter", style=f"--share:{share:.3f}"),
    )


def _thumbnail(flip: Flip) -> Html:
    """Show the photo; what isn't plain base64 of a small picture is not put into the page."""
    data = flip.thumbnail
    if data is None or len(data) > _MAX_THUMBNAIL or not _BASE64.fullmatch(data):
        return tag("div", class_="blank", role="img", aria_label="no picture kept")
    # The text beside it says all that the picture is for.
    return tag("img", src=f"data:image/jpeg;base64,{data}", alt="", loading="lazy")
