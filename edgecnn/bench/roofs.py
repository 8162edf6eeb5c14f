"""How close each operation comes to what the machine can do at most: a roofline.

Source: Williams, Waterman and Patterson 2009; see `roofline.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

from edgecnn.bench import ceilings
from edgecnn.bench.place import Place
from edgecnn.core import schema
from edgecnn.core.errors import InputError
from edgecnn.core.measurement import Ceilings, OpTime
from edgecnn.runtime.operations import elements
from edgecnn.runtime.tflite import Graph, Operator

# It takes a second; ten times that is a machine that hangs.
TIMEOUT_SECONDS = 60.0
_BYTES = {"float64": 8, "int64": 8, "float32": 4, "int32": 4, "float16": 2, "int16": 2}


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Answer:
    """Of the program; see `ceilings.measure`."""

    SCHEMA: ClassVar[str] = ceilings.SCHEMA

    gmacs: dict[str, float]
    gb_per_s: float


def bytes_of(graph: Graph, operator: Operator) -> int:
    """Return what an operation reads and writes once, bytes."""
    places = {place for place in (*operator.inputs, *operator.outputs) if place >= 0}
    tensors = [graph.tensors[place] for place in places]
    return sum(elements(tensor) * _BYTES.get(tensor.dtype, 1) for tensor in tensors)


def measured(
    operations: Sequence[OpTime], request: dict[str, Any], place: Place
) -> Ceilings | None:
    """Measure the machine's ceilings with as many threads; None where it can't be done.

    Args:
        operations: Of the network: copies as large as all of them together.
        request: What the row's worker was asked.
        place: Where.
    """
    size = max(1, sum(one.bytes for one in operations))
    try:
        answer = place.run({**request, "ceilings": size}, timeout_seconds=TIMEOUT_SECONDS)
        if "error" in answer:  # no LiteRT there, which is what they're measured with
            return None
        found = schema.decode(_Answer, answer, where="the ceilings' program")
        return Ceilings(
            float32_gmacs=found.gmacs["float32"],
            int8_gmacs=found.gmacs["int8"],
            gb_per_s=found.gb_per_s,
        )
    except (InputError, KeyError):
        return None


def under(operations: Sequence[OpTime], most: Ceilings | None) -> tuple[OpTime, ...]:
    """Return the operations with the shortest time that the ceilings allow each."""
    if most is None:
        return tuple(operations)
    return tuple(dataclasses.replace(one, roof_ms=_roof_ms(one, most)) for one in operations)


def _roof_ms(operation: OpTime, most: Ceilings) -> float | None:
    if operation.ms is None or not operation.bytes:
        return None
    is_integer = operation.dtype in ("int8", "uint8")
    gmacs = most.int8_gmacs if is_integer else most.float32_gmacs
    return max(operation.macs / gmacs, operation.bytes / most.gb_per_s) / 1e6
