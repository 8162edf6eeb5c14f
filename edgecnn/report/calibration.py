"""What more calibration photos gain, as a drawing of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgecnn.core.artifact import Calibration, CalibrationPoint
from edgecnn.report import scale
from edgecnn.report.html import Html, join, tag
from edgecnn.report.scale import Scale

# A panel of 320 x 220 and the area drawn within; two stand side by side.
_WIDTH, _HEIGHT = 320, 220
_LEFT, _TOP, _RIGHT, _BOTTOM = 52, 34, 304, 172
_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #333 }
.title { font-weight: 600 }
.grid { stroke: #ddd }
.line { fill: none; stroke: #1f6feb; stroke-width: 2 }
.dot { fill: #1f6feb }
.taken { fill: #fff; stroke: #1f6feb; stroke-width: 2.5 }
"""


def calibration_svg(calibration: Calibration, *, name: str) -> str:
    """Draw agreement and signal to noise against the count of calibration photos.

    Args:
        calibration: Its curve has at least one point.
        name: Of the network, for the title.
    """
    title = f"{name}: int8 by number of calibration photos ({calibration.ranges} ranges)"
    panels = (
        _panel(calibration, "answers as the float network's, %", lambda p: p.agreement_pct, 100.0),
        _panel(calibration, "signal to noise, dB", lambda p: p.sqnr_db, 120.0),
    )
    placed = [
        tag("g", panel, transform=f"translate({place * _WIDTH} 20)")
        for place, panel in enumerate(panels)
    ]
    width, height = 2 * _WIDTH, _HEIGHT + 20
    drawing = tag(
        "svg",
        tag("title", title),
        tag("style", Html(_STYLE)),
        tag("rect", width=width, height=height, fill="#fff"),
        tag("text", title, x=12, y=20, class_="title"),
        placed,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width} {height}",
        role="img",
    )
    return f"{drawing}\n"


def _panel(
    calibration: Calibration, label: str, of: Callable[[CalibrationPoint], float], most: float
) -> Html:
    points = calibration.curve
    across = _counts([point.n for point in points])
    up = scale.around([of(p) for p in points], start=_BOTTOM, end=_TOP, within=(-most, most))
    places = [(across(p.n), up(of(p))) for p in points]
    dots = [
        tag(
            "circle",
            tag("title", f"{point.n} photos: {of(point):.2f}"),
            cx=x,
            cy=y,
            r=5 if point.n == calibration.n else 3.5,
            class_="taken" if point.n == calibration.n else "dot",
        )
        for point, (x, y) in zip(points, places, strict=True)
    ]
    line = tag("path", d="M" + "L".join(f"{x} {y}" for x, y in places), class_="line")
    return join(_axes(across, up), tag("text", label, x=_LEFT, y=_TOP - 12), line, dots)


def _counts(counts: Sequence[int]) -> Scale:
    """Return an axis of equal ratios with a mark at each count."""
    low, high = 0.8 * min(counts), 1.25 * max(counts)
    ticks = tuple(float(count) for count in counts)
    return Scale(low=low, high=high, start=_LEFT, end=_RIGHT, ticks=ticks, log=True)


def _axes(across: Scale, up: Scale) -> Html:
    text = scale.tick_format(up.ticks)
    return join(
        tag("path", d="".join(f"M{_LEFT} {up(t)}H{_RIGHT}" for t in up.ticks), class_="grid"),
        [tag("text", text(t), x=_LEFT - 6, y=up(t) + 4, text_anchor="end") for t in up.ticks],
        [
            tag("text", f"{t:g}", x=across(t), y=_BOTTOM + 18, text_anchor="middle")
            for t in across.ticks
        ],
        tag(
            "text", "calibration photos", x=(_LEFT + _RIGHT) / 2, y=_HEIGHT - 10,
            text_anchor="middle",
        ),
    )  # fmt: skip
