"""Memory for activations: when each tensor lives, and where a plan would put it.

The plan follows TFLite's arena planner: whole-run tensors first, then the largest first,
each into the tightest gap among those that live at the same time.

Source: Pisarchyk and Lee 2020, arXiv:2001.03288, "greedy by size for offset calculation";
tensorflow/lite/arena_planner.cc, simple_memory_arena.cc.
"""

from __future__ import annotations

import bisect
import dataclasses

from edgecnn.runtime import operations
from edgecnn.runtime.tflite import Graph, Operator

# kDefaultArenaAlignment of tensorflow/lite/arena_planner.h: a cache line.
ALIGNMENT = 64

# Operations whose kernels lay windows out as rows -> the axis of the weights not in a row.
# Transposed convolutions take their scratch outside the arena.
_ROWS = {"CONV_2D": 0, "CONV_3D": 4}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Life:
    """A tensor's size in bytes, and the operators at which it is first and last needed."""

    bytes: int
    first: int
    last: int


def lifetimes(graph: Graph) -> dict[int, Life]:
    """Return the life of each activation, by its place in the graph's tensors.

    Inputs, outputs and variables keep their memory through the whole run. Weights that an
    operation merely unpacks (float16 files) are no activations, nor is what is unused.
    """
    end = max(len(graph.operators) - 1, 0)
    first, last = _uses(graph, end)
    lives = {}
    for place, begin in first.items():
        tensor = graph.tensors[place]
        if tensor.is_variable:
            lives[place] = Life(bytes=tensor.bytes, first=0, last=end)
        elif not tensor.is_constant:
            lives[place] = Life(bytes=tensor.bytes, first=begin, last=last[place])
    return lives


def _uses(graph: Graph, end: int) -> tuple[dict[int, int], dict[int, int]]:
    """Return the first and the last operator that needs each tensor that is computed."""
    first = dict.fromkeys(graph.inputs, 0)
    last = dict.fromkeys((*graph.inputs, *graph.outputs), end)
    for step, operator in enumerate(graph.operators):
        if not is_unpacking(graph, step):
            for place in operator.outputs:
                first.setdefault(place, step)
                last.setdefault(place, step)
            for place in first.keys() & operator.inputs:
                last[place] = max(step, last[place])
    return first, last


def is_unpacking(graph: Graph, step: int) -> bool:
    """Tell whether an operator only widens stored weights, once, before the first inference."""
    operator = graph.operators[step]
    return operator.name in ("DEQUANTIZE", "DENSIFY") and all(
        graph.tensors[place].is_constant for place in operator.inputs if place >= 0
    )


def peak_bytes(graph: Graph) -> int:
    """Return the largest sum of activations alive at once: no plan can need less."""
    change: dict[int, int] = {}
    for life in lifetimes(graph).values():
        change[life.first] = change.get(life.first, 0) + life.bytes
        change[life.last + 1] = change.get(life.last + 1, 0) - life.bytes
    alive = peak = 0
    for step in sorted(change):
        alive += change[step]
        peak = max(peak, alive)
    return peak


def planned_arena_bytes(graph: Graph) -> int:
    """Return the size of the arena that the plan needs for the activations of one inference."""
    return _planned(graph, lifetimes(graph))


def runtime_arena_bytes(graph: Graph) -> int:
    """Return the size of the arena that LiteRT plans without a delegate, its scratch included.

    Its kernels lay the windows of a convolution out as rows before they multiply. XNNPACK,
    the delegate that is used by default, does not, and keeps activations outside the arena.

    Source: tensorflow/lite/kernels/conv.cc, conv3d.cc.
    """
    lives = lifetimes(graph)
    for step, operator in enumerate(graph.operators):
        scratch = _scratch_bytes(graph, operator)
        if scratch:
            lives[len(graph.tensors) + step] = Life(bytes=scratch, first=step, last=step)
    return _planned(graph, lives)


def _scratch_bytes(graph: Graph, operator: Operator) -> int:
    window = operations.window_of(graph, operator)
    if operator.name not in _ROWS or window is None or not operator.outputs:
        return 0
    if operator.inputs[0] < 0 or max((*window.kernel, *window.stride, *window.dilation)) == 1:
        return 0  # each pixel is a row already
    data, weights = (graph.tensors[place] for place in operator.inputs[:2])
    output = graph.tensors[operator.outputs[0]]
    if len(weights.shape) <= _ROWS[operator.name] or not output.shape:
        return 0
    places = operations.elements(output) // max(abs(output.shape[-1]), 1)
    row = operations.elements(weights) // max(weights.shape[_ROWS[operator.name]], 1)
    return places * row * (data.bytes // max(operations.elements(data), 1))


def _planned(graph: Graph, lifes: dict[int, Life]) -> int:
    end = max(len(graph.operators) - 1, 0)
    lives = sorted(lifes.items(), key=lambda item: _order(*item, end=end))
    placed: list[tuple[int, int, int, int]] = []  # start, stop, first, last; by start
    size = 0
    for _, life in lives:
        if life.bytes:
            start = _best_gap(placed, life)
            bisect.insort(placed, (start, start + life.bytes, life.first, life.last))
            size = max(size, start + life.bytes)
    return size


def _order(place: int, life: Life, *, end: int) -> tuple[int, int, int]:
    if (life.first, life.last) == (0, end):
        return 0, place, 0
    return 1, -life.bytes, life.first


def _best_gap(placed: list[tuple[int, int, int, int]], life: Life) -> int:
    best: int | None = None
    best_room = 0
    free = 0
    for start, stop, first, last in placed:
        if last < life.first or first > life.last:
            continue
        room = start - free
        if life.bytes <= room and (best is None or room < best_room):
            best, best_room = free, room
        free = max(free, -(-stop // ALIGNMENT) * ALIGNMENT)
    return free if best is None else best
