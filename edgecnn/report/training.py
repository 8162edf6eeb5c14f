"""The section of one checkpoint: its curves, its phases, and where it is wrong."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.core.checkpoint import Card, ClassScore, Scores
from edgecnn.report import plots, units
from edgecnn.report.html import Html, join, named, tag
from edgecnn.report.verdict import scores_of

# A larger matrix can't be read; its largest mistakes are listed instead.
_MAX_MATRIX = 24
_MAX_CONFUSIONS = 20
_MAX_CLASSES = 40
# Text on a fill darker than this has to be light.
_DEEP_SHARE = 0.78


def section(card: Card) -> Html:
    """Return the section."""
    scores = scores_of(card)
    return tag(
        "section",
        tag("h2", "The model: ", named(card.name)),
        tag("p", _about(card)),
        _curves(card),
        _mistakes(scores) if scores else "",
    )


def _about(card: Card) -> str:
    size = f"{card.preprocessing.width} × {card.preprocessing.height} pixels"
    start = "from scratch" if card.weights == "none" else f"from {card.weights} weights"
    parts = [
        f"{card.arch} at {size}, {units.rough(card.params)} parameters and "
        f"{units.rough(card.macs)} multiply-adds a photo, trained {start} "
        f"in {units.seconds(card.seconds)}"
    ]
    if card.data:
        told = ", ".join(
            units.plural(n, f"{name} photo")
            for n, name in (
                (card.data.n_train, "training"),
                (card.data.n_val, "validation"),
                (card.data.n_test, "test"),
            )
        )
        parts.append(f"{len(card.classes)} classes, {told}")
    parts += [
        f"On the {scores.split} part it gets {units.share(scores.top1)} of "
        f"{units.count(scores.n)} right (mean over classes {units.share(scores.macro_recall)})"
        for scores in card.scores
    ]
    return ". ".join(parts) + "."


def _curves(card: Card) -> Html:
    if not card.history:
        return Html("")
    loss = plots.curves(
        card.history,
        title="loss",
        train=lambda e: e.loss,
        val=lambda e: e.val_loss,
        within=(0, max(1e-9, *(max(e.loss, e.val_loss) for e in card.history)) * 1.1),
    )
    top1 = plots.curves(
        card.history,
        title="right answers, %",
        train=lambda e: 100 * e.top1,
        val=lambda e: 100 * e.val_top1,
        within=(0, 100),
    )
    panels = [
        tag("figure", tag("figcaption", name), drawing, class_="panel")
        for name, drawing in (("Accuracy, epoch by epoch", top1), ("Loss, epoch by epoch", loss))
    ]
    names = (("val", "validation"), ("train", "training"))
    keys = tag("ul", [tag("li", _key(name), text) for name, text in names], class_="legend")
    return join(tag("div", panels, _phases(card), class_="columns"), keys)


def _key(name: str) -> Html:
    line = tag("path", d="M1 5H25", class_=f"curve {name}")
    return tag("svg", line, viewBox="0 0 26 10", aria_hidden="true", class_="key")


def _phases(card: Card) -> Html:
    lines = [
        tag(
            "tr",
            tag("th", phase.name, tag("small", units.plural(phase.epochs, "epoch")), scope="row"),
            tag(
                "td",
                units.seconds(phase.seconds),
                tag("small", f"{units.count(phase.images_per_second)} photos/s"),
            ),
            tag("td", units.share(phase.val_top1)),
        )
        for phase in card.phases
    ]
    return _panel(_table(("Phase", "Time", "Validation"), lines)) if lines else Html("")


def _mistakes(scores: Scores) -> Html:
    part = f"{units.plural(scores.n, 'photo')} of the {scores.split} part"
    title = tag("h3", f"Where it is right and wrong: {part}")
    names = [score.name for score in scores.per_class]
    if len(names) <= _MAX_MATRIX:
        drawing = _panel(tag("div", _matrix(names, scores.confusion), class_="scroll"))
    else:
        drawing = _panel(_largest(names, scores.confusion))
    return join(title, tag("div", drawing, _classes(scores.per_class), class_="columns two"))


def _matrix(names: Sequence[str], confusion: Sequence[Sequence[int]]) -> Html:
    heads = [tag("th", tag("span", name, class_="name", title=name), scope="col") for name in names]
    lines = []
    for true, counts in zip(names, confusion, strict=False):
        total = sum(counts) or 1
        cells = [
            _matrix_cell(true, answer, number, total)
            for answer, number in zip(names, counts, strict=False)
        ]
        head = tag("th", named(true), scope="row", title=true)
        lines.append(tag("tr", head, cells))
    corner = tag("td", tag("small", "true \\ answer"))
    return tag(
        "table",
        tag(
            "caption",
            "A row is a true class, a column an answer; the darker, the larger the share.",
        ),
        tag("thead", tag("tr", corner, heads)),
        tag("tbody", lines),
        class_="confusion",
    )


def _matrix_cell(true: str, answer: str, number: int, total: int) -> Html:
    share = number / total
    said = f"{number} of {total} photos of {true} answered as {answer} ({units.share(share)})"
    box = tag("span", str(number) if number else "·", style=f"--share:{share:.3f}")
    return tag("td", box, title=said, class_="deep" if share > _DEEP_SHARE else None)


def _largest(names: Sequence[str], confusion: Sequence[Sequence[int]]) -> Html:
    """List the most frequent mistakes: a matrix of so many classes can't be read."""
    wrong = [
        (number, true, answer)
        for true, counts in zip(names, confusion, strict=False)
        for answer, number in zip(names, counts, strict=False)
        if number and true != answer
    ]
    wrong.sort(key=lambda item: (-item[0], item[1], item[2]))
    lines = [
        tag("tr", _name(true), tag("td", named(answer), class_="left"),
            tag("td", units.count(number)))
        for number, true, answer in wrong[:_MAX_CONFUSIONS]
    ]  # fmt: skip
    return _table(("True class", "<Answer", "Photos"), lines, caption="Most frequent mistakes")


def _classes(per_class: Sequence[ClassScore]) -> Html:
    ranked = sorted(per_class, key=lambda c: (c.recall is None, c.recall or 0.0, c.name))
    lines = [
        tag(
            "tr",
            _name(score.name),
            tag("td", units.count(score.n)),
            tag("td", _meter(score.recall), class_="num"),
            tag("td", _meter(score.precision), class_="num"),
        )
        for score in ranked[:_MAX_CLASSES]
    ]
    hidden = len(ranked) - len(lines)
    caption = (
        f"Worst classes first; {hidden} better ones not shown" if hidden else "Worst class first"
    )
    return _panel(
        _table(("Class", "Photos", "Found (recall)", "Trusted (precision)"), lines, caption)
    )


def _meter(share: float | None) -> Html:
    if share is None:
        return Html(units.NONE)
    return join(units.share(share), tag("span", class_="meter", style=f"--share:{share:.3f}"))


def _name(name: str) -> Html:
    return tag("th", named(name), scope="row")


def _panel(content: Html) -> Html:
    return tag("div", tag("div", content, class_="scroll"), class_="panel")


def _table(heads: Sequence[str], lines: Sequence[Html], caption: str = "") -> Html:
    """Build a plain table; the first column and those marked ``<`` are set to the left."""
    cells = [
        tag(
            "th", head.lstrip("<"), scope="col", class_="left" if i == 0 or head[0] == "<" else None
        )
        for i, head in enumerate(heads)
    ]
    return tag(
        "table",
        tag("caption", caption) if caption else "",
        tag("thead", tag("tr", cells)),
        tag("tbody", lines),
    )
