"""A picture of a network as SVG: boxes as they connect, darker where more is multiplied."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from edgecnn.core.errors import InputError
from edgecnn.report import units
from edgecnn.report.html import Html, Value, tag
from edgecnn.report.network_layout import Block, Edge, Node, blocks_of, nodes_of

# More boxes than this are no picture; the largest network of the zoo has a third of them.
_MAX_BOXES = 2000
_MAX_TEXT = 18

_BOX_WIDTH, _BOX_HEIGHT = 112, 30
_ROW = 44  # from the top of one box to that of the next
_LANE = _BOX_WIDTH + 10
_NARROW = 9
_MARGIN, _GUTTER, _HEAD = 24, 34, 116
_LEAST_WIDTH = 640  # of the heading
_WIDTH, _WIDE = 1080, 1440  # what columns share: a page; where that were too tall, a window
_TALL = 60  # rows
_LEAST_ROWS, _MOST_COLUMNS = 6, 8

# From no multiplications to the most: seven steps, light to dark, of one hue.
_SHADES = ("#f1f5f3", "#d5e8e0", "#b0d6c8", "#85c0ac", "#57a68d", "#2b876d", "#0b6650")
_INK, _SOFT, _LINE, _WASH = "#1d2126", "#5c646d", "#8b939b", "#f7f6f2"
_FONT = "Inter, 'Segoe UI', Roboto, 'Noto Sans', 'Liberation Sans', system-ui, sans-serif"
_NAME_OF_BLOCK = re.compile(r"(?:stage\d+_)?block\d+")

# Kinds of layers in words; all others show as they are.
_WORDS = {
    "depthwiseconv": "depthwise",
    "separableconv": "separable",
    "convtranspose": "transposed",
    "transposeconv": "transposed",
    "qlinearconv": "conv",
    "convinteger": "conv",
    "fusedconv": "conv",
    "conv": "conv",
    "maxpooling": "max pool",
    "maxpool": "max pool",
    "averagepooling": "avg pool",
    "averagepool": "avg pool",
    "globalaveragepooling": "global avg",
    "globalaveragepool": "global avg",
    "globalmaxpooling": "global max",
    "fullyconnected": "dense",
    "gemm": "dense",
    "concatenate": "concat",
    "concatenation": "concat",
    "batchnormalization": "norm",
    "localresponsenormalization": "local norm",
    "lrn": "local norm",
    "zeropadding": "pad",
    "rescaling": "rescale",
    "logistic": "sigmoid",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Place:
    """Where a block stands: the middle of its boxes, the top of its first row, its column."""

    block: Block
    x: float
    y: float
    left: float

    def of(self, node: int) -> tuple[float, float]:
        """Return the middle of a box's upper edge."""
        lane = self.block.lanes.get(node)
        middle = (self.block.width - 1) / 2
        x = self.x if lane is None else self.x + (lane - middle) * _LANE
        return x, self.y + self.block.rows[node] * _ROW


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Column:
    """Blocks one below the other."""

    blocks: Sequence[Block]
    width: float
    height: float


def network_svg(facts: Mapping[str, Any]) -> str:
    """Draw a network.

    Args:
        facts: What `edgecnn inspect --json` prints, of a network or a file.

    Returns:
        A whole SVG file, white behind; names are escaped.

    Raises:
        InputError: more layers than a picture can show, or none.
    """
    nodes = nodes_of(_of_one_image(facts))
    if not 0 < len(nodes) <= _MAX_BOXES:
        raise InputError(
            f"{units.plural(len(nodes), 'box', 'boxes')} to draw",
            where=_name(facts),
            fix="use the table instead",
        )
    columns = _columns(blocks_of(nodes))
    width = max(_width_of(columns), _LEAST_WIDTH)
    height = _HEAD + max(column.height for column in columns) + _ROW
    places = list(_places(columns))
    most = max(node.macs for node in nodes)
    drawn = tag(
        "svg",
        tag("title", f"{_name(facts)}: {units.plural(len(nodes), 'layer')}"),
        tag("rect", width=width, height=height, fill="#ffffff"),
        _heading(facts, most),
        [_wash(place, nodes) for place in places],
        tag("g", _lines(places), fill="none", stroke=_LINE, stroke_width=1.3),
        [_box(nodes[n], place.of(n), most) for place in places for n in sorted(place.block.rows)],
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:g} {height:g}",
        width=width,
        height=height,
        role="img",
        font_family=_FONT,
    )
    return drawn + "\n"


def _of_one_image(facts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the layers without the batch's axis, which the tensors of a file have."""
    if facts.get("format") == "keras":
        return list(facts["layers"])
    return [
        {**layer, "output_shape": shape[1:]}
        if len(shape := layer["output_shape"]) > 1 and shape[0] in (1, -1)
        else layer
        for layer in facts["layers"]
    ]


def _columns(blocks: Sequence[Block]) -> list[_Column]:
    """Share the blocks between as many columns as fit side by side, of nearly one height."""
    rows = sum(block.height for block in blocks)
    room = _WIDTH if rows <= _TALL else _WIDE
    for number in range(_MOST_COLUMNS, 0, -1):
        columns = [_column(each) for each in _shared(blocks, number)]
        if number == 1 or _width_of(columns) <= room:
            return columns
    return []


def _shared(blocks: Sequence[Block], number: int) -> list[list[Block]]:
    """Fill one column after the other, with the least height that needs no more of them."""
    rows = sum(block.height for block in blocks)
    limit = max(-(-rows // number), _LEAST_ROWS, *(block.height for block in blocks))
    while True:
        columns: list[list[Block]] = [[]]
        height = 0
        for block in blocks:
            if height + block.height > limit:
                columns.append([])
                height = 0
            columns[-1].append(block)
            height += block.height
        if len(columns) <= number:
            return columns
        limit += 1 + limit // 50


def _column(blocks: Sequence[Block]) -> _Column:
    return _Column(
        blocks=blocks,
        width=max(map(_width, blocks)),
        height=_ROW * sum(block.height for block in blocks),
    )


def _width_of(columns: Sequence[_Column]) -> float:
    return sum(column.width + _GUTTER for column in columns) - _GUTTER + 2 * _MARGIN


def _width(block: Block) -> float:
    # Narrow lanes run on the right; the same room on the left keeps the boxes in the middle.
    return block.width * _LANE + 2 * (block.narrow * _NARROW + 8 * bool(block.narrow))


def _places(columns: Sequence[_Column]) -> Iterator[_Place]:
    left = float(_MARGIN)
    for column in columns:
        y = float(_HEAD)
        for block in column.blocks:
            yield _Place(block=block, x=left + column.width / 2, y=y, left=left)
            y += block.height * _ROW
        left += column.width + _GUTTER


def _lines(places: Sequence[_Place]) -> Iterator[Html]:
    before: _Place | None = None
    for place in places:
        entry = _entry(before, place)
        if before is not None and before.x != place.x:
            yield _to_next_column(before, place)
        elif before is None:
            yield tag("path", d=f"M{place.x:g} {place.y - 14:g}v4")
        for edge in place.block.edges:
            yield tag("path", d=_line(place, edge, entry))
        before = place


def _entry(before: _Place | None, place: _Place) -> tuple[float, float]:
    """Return where the lines from the block before come in: its last box, if it is above."""
    if before is not None and before.x == place.x:
        return place.x, place.y - _ROW + _BOX_HEIGHT
    return place.x, place.y - 12


def _line(place: _Place, edge: Edge, entry: tuple[float, float]) -> str:
    """Return the way from box to box: down its own lane, and over where rows allow it."""
    x, y = entry
    if edge.source in place.block.rows:
        x, y = place.of(edge.source)
        y += _BOX_HEIGHT
    end_x, end_y = place.of(edge.target)
    gap = _ROW - _BOX_HEIGHT
    if edge.lane is not None:
        side = place.x + place.block.width * _LANE / 2 + _NARROW * edge.lane
        bend = min(gap, end_y - y) / 2
        return (
            f"M{x:g} {y:g}C{x:g} {y + gap:g} {side:g} {y - bend:g} {side:g} {y + gap + 4:g}"
            f"V{end_y - gap - 4:g}"
            f"C{side:g} {end_y + bend:g} {end_x:g} {end_y - gap:g} {end_x:g} {end_y:g}"
        )
    over = end_y - gap
    if x == end_x:
        return f"M{x:g} {y:g}V{end_y:g}"
    return (
        f"M{x:g} {y:g}V{over:g}C{x:g} {over + gap:g} {end_x:g} {end_y - gap:g} {end_x:g} {end_y:g}"
    )


def _to_next_column(before: _Place, place: _Place) -> Html:
    bottom = before.y + (before.block.height - 1) * _ROW + _BOX_HEIGHT
    gutter, top = place.left - _GUTTER / 2, place.y - 12
    way = f"M{before.x:g} {bottom:g}v8H{gutter:g}V{top:g}H{place.x:g}"
    return tag("path", d=way, stroke_dasharray="3 3", stroke_linejoin="round")


def _wash(place: _Place, nodes: Sequence[Node]) -> Html:
    """Draw a block of several rows as one, with its name where its layers share one."""
    if place.block.height < 2:
        return Html("")
    width = _width(place.block) + 4
    left, height = place.x - width / 2, place.block.height * _ROW - 6
    name = _shared_name([nodes[node] for node in place.block.rows])
    x, y = left + 11, place.y - 5 + height / 2
    beside = tag("text", _clipped(name), transform=f"translate({x:g} {y:g}) rotate(-90)",
                 font_size=8.5, fill=_SOFT, text_anchor="middle")  # fmt: skip
    return tag(
        "g",
        tag("rect", x=left, y=place.y - 5, width=width, height=height, rx=9, fill=_WASH),
        tag("title", name),
        beside if place.block.narrow else "",
    )


def _shared_name(nodes: Sequence[Node]) -> str:
    """Return the prefix that all names of a block share, by our grammar of names."""
    names = {found.group() for n in nodes if (found := _NAME_OF_BLOCK.search(str(n.layer["name"])))}
    return names.pop() if len(names) == 1 else ""


def _box(node: Node, place: tuple[float, float], most: int) -> Html:
    x, y = place
    shade = _shade(node.macs, most)
    ink = "#ffffff" if shade >= len(_SHADES) - 3 else _INK
    middle: dict[str, Value] = {"x": x, "text_anchor": "middle", "fill": ink}
    return tag(
        "g",
        tag("title", "\n".join(_told(node))),
        tag(
            "rect",
            x=x - _BOX_WIDTH / 2,
            y=y,
            width=_BOX_WIDTH,
            height=_BOX_HEIGHT,
            rx=5,
            fill=_SHADES[shade],
            stroke="#c3cbc7" if shade < 2 else "none",
        ),
        tag("text", _clipped(_words(node.layer)), y=y + 13, font_size=11, **middle),
        tag(
            "text",
            _clipped(units.sizes(node.shape)),
            y=y + 25,
            font_size=9.5,
            opacity=0.8,
            **middle,
        ),
    )


def _told(node: Node) -> Iterator[str]:
    for member in node.members:
        yield f"{member['name']}: {units.operation(member)}"
    yield f"{units.count(node.params)} parameters, {units.rough(node.macs)} MACs"


def _words(layer: Mapping[str, Any]) -> str:
    op = str(layer["op"])
    key = re.sub(r"[123]d", "", op.lower().replace("_", ""))
    plain = op.lower().replace("_", " ") if op.isupper() or op.istitle() else op
    return units.operation({**layer, "op": _WORDS.get(key, plain)})


def _clipped(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"


def _shade(macs: int, most: int) -> int:
    """Return the step of a count: square roots, or the few largest layers were all one sees."""
    return -(-round((len(_SHADES) - 1) * (macs / most) ** 0.5 * 1e6) // 10**6) if macs else 0


def _heading(facts: Mapping[str, Any], most: int) -> Html:
    field = units.sizes(facts.get("receptive_field") or [])
    totals = [
        f"{units.count(facts['params'])} parameters",
        f"{units.rough(facts['macs'])} MACs",
        f"{units.bytes_(facts['activation_peak_bytes'])} of activations at their peak",
        *([f"an output sees {field} pixels"] if field else []),
    ]
    return tag(
        "g",
        tag("text", _name(facts), x=_MARGIN, y=30, font_size=18, font_weight=650, fill=_INK),
        tag("text", " · ".join(totals), x=_MARGIN, y=50, font_size=11.5, fill=_SOFT),
        _legend(most),
    )


def _legend(most: int) -> Html:
    """Return the steps of the colour with the multiplications at which each one ends."""
    step, steps = 42, len(_SHADES)
    label = tag("text", "MACs up to", x=_MARGIN, y=75, font_size=10, fill=_SOFT)
    left = _MARGIN + 64
    boxes = [
        tag("rect", x=left + step * i, y=66, width=step - 2, height=11, rx=2, fill=shade,
            stroke="#c3cbc7" if i < 2 else "none")
        for i, shade in enumerate(_SHADES)
    ]  # fmt: skip
    marks = [
        tag("text", units.rough(round(most * (i / (steps - 1)) ** 2)), x=left + step * (i + 0.5),
            y=88, font_size=9, fill=_SOFT, text_anchor="middle")
        for i in range(steps)
    ]  # fmt: skip
    return tag("g", label, boxes, marks)


def _name(facts: Mapping[str, Any]) -> str:
    name = PurePath(str(facts.get("model") or facts.get("path") or "network")).name
    about = [
        f"alpha {facts['alpha']:g}" if facts.get("alpha", 1.0) != 1.0 else "",
        units.sizes(facts["inputs"][0]["shape"][1:]) if facts.get("inputs") else "",
    ]
    return ", ".join([name[:60], *filter(None, about)])
