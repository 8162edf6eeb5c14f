"""What each operation costs in accuracy: the network in float, but for one operation.

Each is written as a real file and answers real photos; no proxy.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn.core import progress
from edgecnn.quantize import tflite
from edgecnn.quantize.plan import Plan
from edgecnn.quantize.tflite_graph import name_of, operation, read
from edgecnn.quantize.tflite_layer import Layer
from edgecnn.quantize.tflite_operations import SAME_GRID, WEIGHTED

Array: TypeAlias = npt.NDArray[Any]

_SMALLEST = 1e-9


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """One operation, alone in integers.

    Attributes:
        name: In the plan.
        divergence: Mean Kullback-Leibler divergence of its answers from the float ones, nats.
        flips: Photos whose answer it changes.
    """

    name: str
    divergence: float
    flips: int


def sensitivities(
    float_file: bytes, plan: Plan, inputs: Callable[[], Iterable[Array]]
) -> list[Sensitivity]:
    """Return how much each operation alone moves the answers, the worst first.

    Args:
        float_file: The float32 TFLite file that the plan was made on; it answers
            probabilities.
        plan: With its integers.
        inputs: Returns the photos, [1, H, W, C] float32 each, anew at each call.
    """
    names = [
        name
        for name, layer in plan.layers.items()
        if layer.precision == "int8" and layer.operation not in SAME_GRID
    ]
    expected = answers(float_file, inputs())
    found = []
    with progress.bar("sensitivity", total=len(names)) as advance:
        for name in names:
            alone = plan.in_float([other for other in plan.layers if other != name], why="")
            made = tflite.quantize(float_file, alone, io="float32")
            given = answers(made.content, inputs())
            found.append(
                Sensitivity(
                    name=name,
                    divergence=divergence(expected, given),
                    flips=int(np.sum(expected.argmax(axis=1) != given.argmax(axis=1))),
                )
            )
            advance()
    return sorted(found, key=lambda one: -one.divergence)


def answers(file: bytes, inputs: Iterable[Array]) -> Array:
    """Return a file's answers [N, classes]; its input and output are float."""
    return np.concatenate(list(tflite.outputs_of(file, inputs)))


def divergence(expected: Array, given: Array) -> float:
    """Return the mean Kullback-Leibler divergence of probabilities [N, classes], in nats."""
    p, q = (np.maximum(v.astype(np.float64), _SMALLEST) for v in (expected, given))
    p, q = (v / v.sum(axis=1, keepdims=True) for v in (p, q))
    return float(np.mean(np.sum(p * np.log(p / q), axis=1)))


def cheapest_gain(float_file: bytes, found: list[Sensitivity]) -> list[str]:
    """Return the operations by what they gain in float for what they cost there.

    Args:
        float_file: The float32 TFLite file.
        found: What each costs in accuracy.

    Returns:
        Names, the most divergence for each multiplication first; one that changes nothing
        is left out.
    """
    work = multiplications(float_file)
    total = sum(work.values())
    # Each operation in float costs two conversions besides: as much as a hundredth of all.
    worth = {one.name: one.divergence / (work[one.name] / total + 0.01) for one in found}
    return sorted((name for name in worth if worth[name] > 0), key=lambda name: -worth[name])


def multiplications(float_file: bytes) -> dict[str, int]:
    """Return each operation's multiplications, by the name of its output."""
    model = read(float_file)
    graph = model.subgraphs[0]
    work = {}
    for operator in graph.operators:
        output = graph.tensors[operator.outputs[0]]
        count = int(np.prod(output.shape))
        if operation(model, operator) in WEIGHTED:
            layer = Layer(model, operator)
            count *= layer.weights.size // layer.weights.shape[layer.axis]
        work[name_of(output)] = count
    return work
