"""Which layers quantization hurts, and what that does to the answers: measured, not guessed.

Three passes over photos: the integer file beside the float network, tensor by tensor; the
float network with one operation after the other quantized; and a file whose noisiest
operations stay in float.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy.typing as npt

from edgecnn.core import progress
from edgecnn.core.noise import LayerNoise, Noise, Relief
from edgecnn.explain.advice import advise
from edgecnn.explain.alone import Effect, Parts
from edgecnn.explain.difference import Difference, compare
from edgecnn.explain.graph import Graph
from edgecnn.quantize.plan import Plan
from edgecnn.quantize.tflite import quantize

Array: TypeAlias = npt.NDArray[Any]
Replan: TypeAlias = Callable[[Sequence[str]], Plan]
"""From names of operations to the plan with these in float."""

# What the pass over single operations may multiply: half a minute of two cores.
_BUDGET_MACS = 6e11
_LEAST_PHOTOS = 4


@dataclasses.dataclass(frozen=True)
class Photos:
    """Photos as the float network takes them.

    Attributes:
        inputs: Returns them, [1, H, W, C] float32 each, anew at each call.
        about: What they are, for people.
        detailed: On the first so many tensors are compared and operations quantized alone,
            on fewer in a large network; of all others the answers are.
    """

    inputs: Callable[[], Iterable[Array]]
    about: str = ""
    detailed: int = 64


def measure(
    float_file: bytes,
    plan: Plan,
    photos: Photos,
    *,
    file: str = "",
    replan: Replan | None = None,
) -> Noise:
    """Compare a quantized network with the float one, layer by layer.

    Args:
        float_file: The float32 TFLite file that the plan was made on.
        plan: What the integer file computes.
        photos: On which both are run; better others than those that set the ranges.
        file: Name of the integer file.
        replan: Makes the plan with the noisiest operations in float, whose file is tried;
            it isn't where this is None.
    """
    graph = Graph(float_file)
    detailed = _affordable(graph, photos.detailed)
    whole = _whole(float_file, plan, photos, detailed)
    some = list(itertools.islice(photos.inputs(), detailed))
    effects = _each_alone(Parts(float_file, plan, whole), some)
    found = Noise(
        file=file,
        data=photos.about,
        n=whole.photos,
        n_alone=len(some),
        noise=whole.noise,
        flips=whole.flips,
        layers=tuple(
            _layer(graph, plan, name, whole, effects.get(name, Effect())) for name in plan.layers
        ),
        advice=advise(float_file),
    )
    if replan is None or not found.loudest:
        return found
    names = [name for name, label in graph.labels.items() if label in found.loudest]
    without = _whole(float_file, replan(names), photos, 0)
    relief = Relief(layers=found.loudest, noise=without.noise, flips=without.flips)
    return dataclasses.replace(found, relief=relief)


def _affordable(graph: Graph, most: int) -> int:
    work = max(1, sum(graph.macs.values()) * len(graph.operators))
    return min(most, max(_LEAST_PHOTOS, int(_BUDGET_MACS / work)))


def _whole(float_file: bytes, plan: Plan, photos: Photos, detailed: int) -> Difference:
    made = quantize(float_file, plan, io="int8").content
    return compare(float_file, made, photos.inputs, shift=plan.input_shift, detailed=detailed)


def _each_alone(parts: Parts, inputs: list[Array]) -> dict[str, Effect]:
    found = {}
    with progress.bar("layer by layer", total=len(parts.noisy)) as advance:
        for name in parts.noisy:
            found[name] = parts.only(name, inputs)
            advance()
    return found


def _layer(graph: Graph, plan: Plan, name: str, whole: Difference, effect: Effect) -> LayerNoise:
    seen = whole.seen[name]
    grid = plan.tensors[name].grid if name in plan.tensors else None
    return LayerNoise(
        name=name,
        label=graph.labels[name],
        operation=graph.kind(name),
        precision=plan.layers[name].precision,
        macs=graph.macs[name],
        low=grid.low if grid else seen.low,
        high=grid.high if grid else seen.high,
        seen_low=seen.low,
        seen_high=seen.high,
        saturated=seen.saturated,
        sqnr_db=seen.sqnr_db,
        sqnr_alone_db=effect.sqnr_db,
        noise=effect.noise,
        flips=effect.flips,
        weight_spread=graph.weight_spread(name),
    )
