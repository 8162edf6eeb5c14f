"""Where the blocks of a network's picture stand: rows from top to bottom, branches abreast.

Between two places where a single tensor crosses lies one block: a layer of a chain, or
branches that part and meet again. Blocks follow each other down a column, columns from
left to right.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

_ENTRY = -1  # what a block begins with: the block before, or the image


@dataclasses.dataclass(eq=False)
class Node:
    """One box: a layer with what is computed in its place (norm, activation).

    Attributes:
        layer: The first layer's facts.
        members: All of them.
        inputs: Places of other nodes in their list; `_ENTRY` is the image.
    """

    layer: Mapping[str, Any]
    members: list[Mapping[str, Any]]
    inputs: tuple[int, ...]

    @property
    def macs(self) -> int:
        """Of all members."""
        return sum(member["macs"] for member in self.members)

    @property
    def params(self) -> int:
        """Of all members."""
        return sum(member["params"] for member in self.members)

    @property
    def shape(self) -> list[int]:
        """Of the output."""
        return list(self.members[-1]["output_shape"])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Edge:
    """One tensor from node to node; a long one runs in a lane of its own.

    Attributes:
        source: Node, or `_ENTRY`.
        target: Node.
        lane: Place among the block's narrow lanes; None for a direct line.
    """

    source: int
    target: int
    lane: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Block:
    """Nodes between two places where a single tensor crosses.

    Attributes:
        rows: Node to its row, from 0.
        lanes: Node to its wide lane; the last node stands in the middle and has none.
        edges: All that end in the block.
        height: Number of rows.
        width: Number of wide lanes.
        narrow: Number of narrow lanes.
    """

    rows: Mapping[int, int]
    lanes: Mapping[int, int]
    edges: tuple[Edge, ...]
    height: int
    width: int
    narrow: int


def nodes_of(layers: Sequence[Mapping[str, Any]]) -> list[Node]:
    """Return the boxes: a layer that keeps its only input's shape joins that input's box."""
    uses = [0] * len(layers)
    for layer in layers:
        for place in layer["inputs"]:
            if place >= 0:
                uses[place] += 1
    nodes: list[Node] = []
    box_of: list[int] = []
    for layer in layers:
        sources = [place for place in layer["inputs"] if place < len(box_of)]
        before = sources[0] if sources else _ENTRY
        if len(sources) == 1 and before >= 0 and uses[before] == 1:
            node = nodes[box_of[before]]
            if _is_in_place(layer, node):
                node.members.append(layer)
                box_of.append(box_of[before])
                continue
        box_of.append(len(nodes))
        inputs = dict.fromkeys(box_of[place] if place >= 0 else _ENTRY for place in sources)
        nodes.append(Node(layer, [layer], tuple(inputs)))
    return nodes


def _is_in_place(layer: Mapping[str, Any], node: Node) -> bool:
    return (
        not layer["macs"]
        and not layer.get("kernel")
        and list(layer["output_shape"]) == node.shape
        and "Response" not in str(layer["op"])
        and "RESPONSE" not in str(layer["op"])
    )


def blocks_of(nodes: Sequence[Node]) -> list[Block]:
    """Cut the nodes, in order of execution, where a single tensor crosses."""
    last_use = list(range(len(nodes)))
    image_use = 0
    for place, node in enumerate(nodes):
        for source in node.inputs:
            if source >= 0:
                last_use[source] = place
            else:
                image_use = place
    blocks, start, furthest = [], 0, image_use
    for place in range(len(nodes)):
        # All that was made before this node, and the image, is no longer needed after it.
        if furthest <= place:
            blocks.append(_block(nodes, start, place + 1))
            start = place + 1
        furthest = max(furthest, last_use[place])
    if start < len(nodes):
        blocks.append(_block(nodes, start, len(nodes)))
    return blocks


def _block(nodes: Sequence[Node], start: int, stop: int) -> Block:
    sources = {
        place: tuple(dict.fromkeys(s if s >= start else _ENTRY for s in nodes[place].inputs))
        for place in range(start, stop)
    }
    rows: dict[int, int] = {}
    for place in range(start, stop):
        rows[place] = 1 + max((rows.get(s, -1) for s in sources[place]), default=-1)
    last = stop - 1
    rows[last] = max(rows.values())
    paths = _paths(sources, last)
    lanes = _abreast([(min(rows[n] for n in p), rows[last] - 1) for p in paths])
    edges = _edges(sources, rows, paths)
    return Block(
        rows=rows,
        lanes={node: lane for path, lane in zip(paths, lanes, strict=True) for node in path},
        edges=edges,
        height=rows[last] + 1,
        width=max(lanes, default=0) + 1,
        narrow=max((e.lane + 1 for e in edges if e.lane is not None), default=0),
    )


def _paths(sources: Mapping[int, tuple[int, ...]], last: int) -> list[list[int]]:
    """Part a block's nodes into ways from its end towards its beginning, each node once."""
    paths: list[list[int]] = []
    taken = {last, _ENTRY}
    waiting = [last]
    while waiting:
        for source in sources[waiting.pop(0)]:
            path: list[int] = []
            node = source
            while node not in taken:
                path.append(node)
                taken.add(node)
                node = next((s for s in sources[node] if s not in taken), _ENTRY)
            if path:
                paths.append(path[::-1])
                waiting += path
    unread = [node for node in sources if node not in taken]
    return paths + [[node] for node in unread]


def _abreast(spans: Sequence[tuple[int, int]]) -> list[int]:
    """Give each span of rows a lane that is free there, the first ones further to the left."""
    busy: list[list[tuple[int, int]]] = []
    lanes = []
    for first, last in spans:
        free = (
            lane
            for lane, others in enumerate(busy)
            if all(last < start or stop < first for start, stop in others)
        )
        lane = next(free, len(busy))
        if lane == len(busy):
            busy.append([])
        busy[lane].append((first, last))
        lanes.append(lane)
    return lanes


def _edges(
    sources: Mapping[int, tuple[int, ...]], rows: Mapping[int, int], paths: Sequence[list[int]]
) -> tuple[Edge, ...]:
    follows = {
        target: path[index - 1] if index else _ENTRY
        for path in paths
        for index, target in enumerate(path)
    }
    ends = {path[-1] for path in paths}
    direct: list[tuple[int, int]] = []
    long: list[tuple[int, int]] = []
    for target, read in sources.items():
        for source in read:
            is_next = rows[target] - rows.get(source, -1) == 1
            on_its_path = follows.get(target) == source or source in ends
            (direct if is_next or on_its_path else long).append((source, target))
    # Short detours stay close to the nodes.
    long.sort(key=lambda edge: rows[edge[1]] - rows.get(edge[0], -1))
    lanes = _abreast([(rows.get(source, -1) + 1, rows[target] - 1) for source, target in long])
    return (
        *(Edge(source=source, target=target) for source, target in direct),
        *(
            Edge(source=source, target=target, lane=lane)
            for (source, target), lane in zip(long, lanes, strict=True)
        ),
    )
