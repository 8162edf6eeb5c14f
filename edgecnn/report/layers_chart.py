"""A drawing of what quantization does to each layer: shapes, for whoever puts them on paper."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, TypeAlias

from edgecnn.core.noise import LayerNoise, Noise
from edgecnn.report import scale, units
from edgecnn.report.layers_text import decibels
from edgecnn.report.scale import Scale

Role: TypeAlias = Literal["grid", "label", "number", "file", "alone", "loud", "quiet"]
Anchor: TypeAlias = Literal["start", "middle", "end"]

WIDTH = 960
_LEFT, _RIGHT, _TOP = 56, 944, 26
_PANELS = {"sqnr": 150, "share": 110, "macs": 70, "time": 70}
_GAP = 40
_NAME_ABOVE = 5
_WIDEST_BAR = 26.0
# Of a name over its bar, about; more would run into the next.
_LETTER = 6.2
_LETTERS_HIGH, _ROW = 12.0, 14.0
_NAMES_ROOM = 1.45


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bar:
    """A filled rectangle; a tip is what it says where one points at it."""

    x: float
    y: float
    width: float
    height: float
    role: Role
    tip: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Line:
    """Points joined by straight lines."""

    points: tuple[tuple[float, float], ...]
    role: Role


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dot:
    """A small disc."""

    x: float
    y: float
    role: Role
    tip: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Text:
    """A few words, standing on y."""

    x: float
    y: float
    text: str
    role: Role
    anchor: Anchor = "start"


Shape: TypeAlias = Bar | Line | Dot | Text


@dataclasses.dataclass(frozen=True)
class Chart:
    """Shapes on a sheet that is `WIDTH` wide."""

    shapes: tuple[Shape, ...]
    height: float


def draw(noise: Noise) -> Chart:
    """Draw panels over the same layers: signal to error, share of noise, of work, of time."""
    layers = [layer for layer in noise.layers if layer.noise or layer.macs or layer.ms]
    across = _Across(len(layers))
    shapes: list[Shape] = []
    top = float(_TOP)
    for name, height in _PANELS.items():
        if name == "time" and not noise.timed:
            continue
        panel = _Panel(noise, layers, across, top, top + height)
        shapes += getattr(panel, name)()
        top += height + _GAP
    return Chart(tuple(shapes), top - _GAP + 12)


class _Across:
    """Where each layer stands."""

    def __init__(self, count: int) -> None:
        self.step = (_RIGHT - _LEFT) / max(count, 1)
        self.bar = min(_WIDEST_BAR, max(1.0, 0.72 * self.step))

    def __call__(self, place: int) -> float:
        return _LEFT + (place + 0.5) * self.step


@dataclasses.dataclass(frozen=True)
class _Panel:
    noise: Noise
    layers: Sequence[LayerNoise]
    across: _Across
    top: float
    bottom: float

    def sqnr(self) -> Iterator[Shape]:
        values = [v for x in self.layers for v in (x.sqnr_db, x.sqnr_alone_db) if v is not None]
        up = scale.around(values, start=self.bottom, end=self.top, within=(-20, 100), ticks=4)
        yield from self._frame("signal to error, dB", up, scale.tick_format(up.ticks))
        keys: tuple[tuple[Role, str, float], ...] = (
            ("file", "in the file", _RIGHT - 190),
            ("alone", "this layer alone", _RIGHT - 100),
        )
        for role, words, x in keys:
            yield Dot(x=x - 8, y=self.top - 13, role=role)
            yield Text(x=x, y=self.top - 9, text=words, role="label")
        yield from self._curve("alone", lambda layer: layer.sqnr_alone_db, up)
        yield from self._curve("file", lambda layer: layer.sqnr_db, up)

    def _curve(
        self, role: Role, of: Callable[[LayerNoise], float | None], up: Scale
    ) -> Iterator[Shape]:
        known = [(i, x, value) for i, x in enumerate(self.layers) if (value := of(x)) is not None]
        if len(known) > 1:
            points = tuple((self.across(i), up(value)) for i, _, value in known)
            yield Line(points=points, role=role)
        for i, layer, value in known:
            yield Dot(x=self.across(i), y=up(value), role=role, tip=_tip(self.noise, layer))

    def share(self) -> Iterator[Shape]:
        shares = self.noise.shares
        all_shares = [shares[x.label] for x in self.layers]
        # Names of neighbours stand above each other.
        room = _NAMES_ROOM if len(self.noise.loudest) > 1 else 1.0
        yield from self._bars("share of the noise, %", all_shares, room=room)
        up = self._up(all_shares, room=room)
        named = [(i, x) for i, x in enumerate(self.layers) if x.label in self.noise.loudest]
        taken: list[Text] = []
        # The tallest first: its name stands where it belongs, the others give way.
        for i, layer in sorted(named, key=lambda each: -shares[each[1].label]):
            taken.append(self._name(i, layer, up(100 * shares[layer.label]), taken))
        yield from taken

    def macs(self) -> Iterator[Shape]:
        total = self.noise.macs or 1
        yield from self._bars(
            "share of the multiplications, %", [x.macs / total for x in self.layers]
        )

    def time(self) -> Iterator[Shape]:
        shares = [self.noise.time_share(x) or 0.0 for x in self.layers]
        yield from self._bars("share of the time, %", shares)

    def _bars(self, title: str, shares: Sequence[float], *, room: float = 1.0) -> Iterator[Shape]:
        up = self._up(shares, room=room)
        yield from self._frame(title, up, scale.tick_format(up.ticks))
        for i, (layer, share) in enumerate(zip(self.layers, shares, strict=True)):
            y = up(100 * share)
            yield Bar(
                x=self.across(i) - self.across.bar / 2,
                y=y,
                width=self.across.bar,
                height=self.bottom - y,
                role="loud" if layer.label in self.noise.loudest else "quiet",
                tip=_tip(self.noise, layer),
            )

    def _up(self, shares: Sequence[float], *, room: float = 1.0) -> Scale:
        highest = room * max(100 * max(shares, default=0.0), 1.0)
        # Two values of one size: an axis from zero, never in equal ratios.
        return scale.from_zero([highest], start=self.bottom, end=self.top, ticks=3)

    def _name(self, place: int, layer: LayerNoise, y: float, taken: Sequence[Text]) -> Text:
        """Write a name over its bar, or where it neither leaves the paper nor meets another."""
        x, anchors = self.across(place), typing.get_args(Anchor)
        rows = [y - _NAME_ABOVE - up * _ROW for up in (0, 1, 2, -1, -2)]
        places = [
            Text(x=x, y=row, text=layer.label, role="label", anchor=anchor)
            for row in rows
            for anchor in ("middle", *anchors)
        ]
        inside = [
            text for text in places if ends_of(text)[0] >= _LEFT and ends_of(text)[1] <= _RIGHT
        ]
        high = [text for text in inside if self.top <= text.y <= self.bottom]
        free = (text for text in high if not any(_meet(text, other) for other in taken))
        return next(free, next(iter(high or inside), places[0]))

    def _frame(self, title: str, up: Scale, text: Callable[[float], str]) -> Iterator[Shape]:
        yield Text(x=_LEFT, y=self.top - 9, text=title, role="label")
        for tick in up.ticks:
            yield Line(points=((_LEFT, up(tick)), (_RIGHT, up(tick))), role="grid")
            yield Text(x=_LEFT - 7, y=up(tick) + 4, text=text(tick), role="number", anchor="end")


def ends_of(text: Text) -> tuple[float, float]:
    """Return how far a text reaches across, about."""
    width = len(text.text) * _LETTER
    left = text.x - {"start": 0.0, "middle": width / 2, "end": width}[text.anchor]
    return left, left + width


def _is_on_paper(text: Text) -> bool:
    left, right = ends_of(text)
    return left >= _LEFT and right <= _RIGHT


def _meet(one: Text, other: Text) -> bool:
    (left, right), (begin, end) = ends_of(one), ends_of(other)
    return abs(one.y - other.y) < _LETTERS_HIGH and left < end + _LETTER and begin < right + _LETTER


def _tip(noise: Noise, layer: LayerNoise) -> str:
    """Return all that is known of a layer, in one line."""
    time = noise.time_share(layer)
    took = f", {units.share(time)} of the time" if time is not None else ""
    work = units.share(layer.macs / noise.macs if noise.macs else None)
    return (
        f"{layer.label}: {units.share(noise.shares[layer.label])} of the noise, "
        f"{units.plural(layer.flips, 'flip')} alone, {decibels(layer.sqnr_db)} in the file, "
        f"{decibels(layer.sqnr_alone_db)} alone, "
        f"{work} of the multiplications{took}"
    )
