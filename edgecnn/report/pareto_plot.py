"""The Pareto front as a drawing of its own: accuracy against cost and against memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgecnn.report import scale, units
from edgecnn.report.html import Html, join, tag
from edgecnn.report.pareto import Budget, Candidate, Choice, overruns
from edgecnn.report.pareto_text import cost_name, cost_text, memory_name
from edgecnn.report.scale import Scale

# A panel of 460 x 300 and the area drawn within; two stand side by side, the key below.
_WIDTH, _HEIGHT = 460, 300
_LEFT, _TOP, _RIGHT, _BOTTOM = 58, 26, 440, 250
_HEAD, _LINE = 46, 20
_NEAR = 14.0  # marks that are closer would hide each other's numbers
_UNITS = {"median": "median latency, ms", "predicted": "predicted latency, ms (nothing ran)",
          "instructions": "instructions of one inference, millions"}  # fmt: skip
_COLOURS = {
    "float32": "#51658a", "float16": "#2d8fb8", "dynamic": "#b7791f", "int16x8": "#8a5aa8",
    "weights8": "#5f8a2a", "weights4": "#a8503c", "int8": "#0b7d64", "mixed": "#0b7d64",
}  # fmt: skip
_STYLE = """
text { font: 12px Inter, 'Segoe UI', Roboto, 'Noto Sans', 'Liberation Sans', sans-serif;
  fill: #5c646d }
.title { font-weight: 600; font-size: 14px; fill: #1d2126 }
.label, .key { fill: #1d2126 }
.grid { stroke: #e4e1d9 }
.front { fill: none; stroke: #1d2126; stroke-width: 1.2; stroke-dasharray: 4 3 }
.limit { stroke: #b0302c; stroke-width: 1.2 }
.beyond { fill: #fbe9e7 }
.mark { stroke: #fff; stroke-width: 1.2 }
.behind { opacity: .35 }
.doubted { fill-opacity: 0; stroke-width: 2 }
.winner { fill: none; stroke: #1d2126; stroke-width: 2 }
.number { font-weight: 600; fill: #1d2126 }
"""


def front_svg(
    candidates: Sequence[Candidate], choice: Choice, budget: Budget, *, best_top1: float
) -> str:
    """Draw all rows, the front joined, the winner ringed, what lies beyond the budget tinted.

    Args:
        candidates: All rows of a search.
        choice: What came of it.
        budget: Limits that are drawn.
        best_top1: From where a drop is counted, 0..1.
    """
    shown = [c for c in candidates if c.cost is not None]
    kind = cost_name(shown)
    divisor = 1e6 if kind == "instructions" else 1.0
    limit = budget.instructions if kind == "instructions" else budget.latency_ms
    least = None if budget.drop_points is None else 100 * best_top1 - budget.drop_points
    front = list(choice.front)
    if choice.winner is not None and choice.winner not in front:
        front.append(choice.winner)
    panels = [
        _Panel(_UNITS[kind], lambda c: None if c.cost is None else c.cost / divisor,
               None if limit is None else limit / divisor, least),
        _Panel(f"{memory_name(shown)}, MB", lambda c: c.memory_mb, budget.memory_mb, least),
    ]  # fmt: skip
    placed = [
        tag("g", panel.drawn(shown, front, choice), transform=f"translate({i * _WIDTH} {_HEAD})")
        for i, panel in enumerate(panels)
    ]
    width, height = 2 * _WIDTH, _HEAD + _HEIGHT + _LINE * (len(front) + 1)
    title = f"{units.plural(len(_files(shown)), 'file')} on {_where(shown)}"
    drawing = tag(
        "svg",
        tag("title", title),
        tag("style", Html(_STYLE)),
        tag("rect", width=width, height=height, fill="#fff"),
        tag("text", title, x=16, y=26, class_="title"),
        placed,
        _key(front, choice, budget),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        role="img",
    )
    return f"{drawing}\n"


class _Panel:
    """Accuracy upwards, one cost to the right."""

    def __init__(
        self,
        label: str,
        of: Callable[[Candidate], float | None],
        limit: float | None,
        least_pct: float | None,
    ) -> None:
        self._label, self._of, self._limit, self._least = label, of, limit, least_pct

    def drawn(self, shown: Sequence[Candidate], front: Sequence[Candidate], choice: Choice) -> Html:
        points = [(c, x) for c in shown if (x := self._of(c)) is not None]
        if not points:
            return tag("text", f"no {self._label}", x=_LEFT, y=_TOP)
        costs = [x for _, x in points] + ([self._limit] if self._limit else [])
        heights = [100 * c.accuracy.top1 for c, _ in points]
        heights += [] if self._least is None else [max(0.0, self._least)]
        across = scale.from_zero(costs, start=_LEFT, end=_RIGHT)
        up = scale.around(heights, start=_BOTTOM, end=_TOP, within=(0, 100))
        marks = [
            _mark(c, across(x), up(100 * c.accuracy.top1), front, choice)
            for c, x in sorted(points, key=lambda point: any(point[0] is c for c in front))
        ]
        return join(
            self._beyond(across, up),
            _axes(across, up, self._label),
            _steps(points, across, up, choice),
            marks,
            _numbers([(front_at(front, c), across(x), up(100 * c.accuracy.top1))
                      for c, x in points if front_at(front, c)]),
        )  # fmt: skip

    def _beyond(self, across: Scale, up: Scale) -> Html:
        """Tint what the budget doesn't allow."""
        parts = []
        if self._limit is not None:
            x = across(self._limit)
            parts += [
                tag("rect", x=x, y=_TOP, width=_RIGHT - x, height=_BOTTOM - _TOP, class_="beyond"),
                tag("path", d=f"M{x} {_TOP}V{_BOTTOM}", class_="limit"),
            ]
        if self._least is not None:
            y = up(self._least)
            parts += [
                tag("rect", x=_LEFT, y=y, width=_RIGHT - _LEFT, height=_BOTTOM - y,
                    class_="beyond"),
                tag("path", d=f"M{_LEFT} {y}H{_RIGHT}", class_="limit"),
            ]  # fmt: skip
        return join(parts)


def _mark(one: Candidate, x: float, y: float, front: Sequence[Candidate], choice: Choice) -> Html:
    """Draw a row: a circle is TFLite, a square another format; hollow can't be trusted."""
    place = front_at(front, one)
    colour = _COLOURS.get(one.row.scheme, "#7d858d")
    classes = " ".join(
        ["mark", *([] if place else ["behind"]), *([] if one.counts else ["doubted"])]
    )
    ink = {"fill": colour, "class_": classes, "style": None if one.counts else f"stroke:{colour}"}
    shape = (
        tag("circle", cx=x, cy=y, r=5.5, **ink)
        if one.row.format == "tflite"
        else tag("rect", x=x - 5, y=y - 5, width=10, height=10, rx=1.5, **ink)
    )
    told = f"{one.setting}: {units.share(one.accuracy.top1)} right, {cost_text(one)}"
    parts: list[str] = [tag("title", told), shape]
    if one is choice.winner:
        parts.append(tag("circle", cx=x, cy=y, r=10, class_="winner"))
    return tag("g", parts)


def front_at(front: Sequence[Candidate], one: Candidate) -> int:
    """Return a row's number in the key; 0 where it is behind the front."""
    return next((i for i, c in enumerate(front, start=1) if c is one), 0)


def _numbers(places: Sequence[tuple[int, float, float]]) -> list[Html]:
    """Number marks; those that nearly lie on each other share one text."""
    groups: list[tuple[list[int], float, float]] = []
    for number, x, y in sorted(places):
        near = next((g for g in groups if abs(g[1] - x) < _NEAR and abs(g[2] - y) < _NEAR), None)
        if near is None:
            groups.append(([number], x, y))
        else:
            near[0].append(number)
    return [
        tag(
            "text",
            ", ".join(map(str, numbers)),
            x=min(x + 9, _RIGHT),
            y=y - 8,
            text_anchor="end" if x + 9 > _RIGHT - 20 else None,
            class_="number",
        )
        for numbers, x, y in groups
    ]


def _steps(
    points: Sequence[tuple[Candidate, float]], across: Scale, up: Scale, choice: Choice
) -> Html:
    """Draw what accuracy a cost buys: a stair from the cheapest row to the most accurate."""
    path, best = "", -1.0
    for one, x in sorted(points, key=lambda point: (point[1], -point[0].accuracy.top1)):
        if one.counts == choice.trusted and one.accuracy.top1 > best:
            place, height = across(x), up(100 * one.accuracy.top1)
            path += f"H{place}V{height}" if path else f"M{place} {height}"
            best = one.accuracy.top1
    return tag("path", d=f"{path}H{_RIGHT}", class_="front") if path else Html("")


def _axes(across: Scale, up: Scale, label: str) -> Html:
    x_text = "{:g}".format if across.log else scale.tick_format(across.ticks)
    y_text = scale.tick_format(up.ticks)
    return join(
        tag("path", d="".join(f"M{_LEFT} {up(t)}H{_RIGHT}" for t in up.ticks), class_="grid"),
        [tag("text", y_text(t), x=_LEFT - 7, y=up(t) + 4, text_anchor="end") for t in up.ticks],
        [tag("text", x_text(t), x=across(t), y=_BOTTOM + 17, text_anchor="middle")
         for t in across.ticks],
        tag("text", label, x=(_LEFT + _RIGHT) / 2, y=_HEIGHT - 12, text_anchor="middle",
            class_="label"),
        tag("text", "right answers, %", x=_LEFT - 42, y=_TOP - 8, class_="label"),
    )  # fmt: skip


def _key(front: Sequence[Candidate], choice: Choice, budget: Budget) -> Html:
    """Name the numbered marks."""
    lines = []
    unit = " instructions" if cost_name(front) == "instructions" else ""
    for place, one in enumerate(front, start=1):
        y = _HEAD + _HEIGHT + _LINE * place - 4
        colour = _COLOURS.get(one.row.scheme, "#7d858d")
        told = (
            f"{one.setting}: {units.share(one.accuracy.top1)} right, {cost_text(one)}{unit}, "
            f"{units.megabytes(one.memory_mb)}"
        )
        beyond = "; beyond the budget" if overruns(one, budget) else ""
        taken = "; taken" if one is choice.winner else ""
        lines += [
            tag("circle", cx=40, cy=y - 4, r=5, fill=colour),
            tag("text", f"{place}", x=16, y=y, class_="number"),
            tag("text", f"{told}{taken}{beyond}", x=54, y=y, class_="key"),
        ]
    return join(lines)


def _files(shown: Sequence[Candidate]) -> set[str]:
    return {c.row.sha256 for c in shown}


def _where(shown: Sequence[Candidate]) -> str:
    return ", ".join(dict.fromkeys(c.row.target for c in shown)) or "nothing"
