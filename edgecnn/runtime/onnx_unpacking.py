"""Weights that an ONNX file stores in few bits and widens once, when it is loaded."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Container
from typing import Any


@dataclasses.dataclass(frozen=True)
class Stored:
    """A constant behind a tensor that only widens it.

    Attributes:
        name: Of the constant.
        scale: Of what it is multiplied with; none where it is a narrower float.
    """

    name: str
    scale: str = ""


@dataclasses.dataclass(frozen=True)
class Unpacking:
    """All such weights of a graph.

    Attributes:
        stored: Tensor that operations read -> the constant.
        steps: Tensors between the two, which nobody else reads.
    """

    stored: dict[str, Stored]
    steps: set[str]


def find_unpacked(nodes: Any, constants: Container[str]) -> Unpacking:
    """Find each Cast of a constant, and the Mul with a constant that may follow it."""
    uses = Counter(name for node in nodes for name in set(node.input))
    found = Unpacking({}, set())
    for node in nodes:
        first = node.input[0] if node.input else ""
        if node.op_type == "Cast" and first in constants:
            found.stored[node.output[0]] = Stored(first)
        elif (
            node.op_type == "Mul"
            and first in found.stored
            and uses[first] == 1
            and node.input[1] in constants
        ):
            found.stored[node.output[0]] = Stored(found.stored.pop(first).name, node.input[1])
            found.steps.add(first)
    return found
