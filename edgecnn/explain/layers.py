"""Which layers quantization hurts, and what that does to the answers: measured, not guessed.

Three passes over photos: the integer file beside the float network, tensor by tensor; the
float network with one operation after the other quantized; and the network as the file has
it, but for its noisiest operations.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Mapping
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

# What the pass over single operations may multiply: half a minute of two cores.
_BUDGET_MACS = 6e11
_LEAST_PHOTOS = 4
# No more operations are named, and none with less than this share of the loudest one's noise.
_FEW = 3
_STANDS_OUT = 0.25


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


def measure(float_file: bytes, plan: Plan, photos: Photos, *, file: str = "") -> Noise:
    """Compare a quantized network with the float one, layer by layer.

    Args:
        float_file: The float32 TFLite file that the plan was made on.
        plan: What the integer file computes.
        photos: On which both are run; better others than those that set the ranges.
        file: Name of the integer file.
    """
    graph = Graph(float_file)
    made = quantize(float_file, plan, io="int8").content
    detailed = _affordable(graph, photos.detailed)
    whole = compare(float_file, made, photos.inputs, shift=plan.input_shift, detailed=detailed)
    some = list(itertools.islice(photos.inputs(), detailed))
    parts = Parts(float_file, plan, whole)
    effects = _each_alone(parts, plan, some)
    return Noise(
        file=file,
        data=photos.about,
        n=whole.photos,
        n_alone=len(some),
        noise=whole.noise,
        flips=whole.flips,
        layers=tuple(
            _layer(graph, plan, name, whole, effects.get(name, Effect())) for name in plan.layers
        ),
        relief=_relief(parts, _loudest(effects), photos.inputs()),
        advice=advise(float_file),
    )


def _affordable(graph: Graph, most: int) -> int:
    work = max(1, sum(graph.macs.values()) * len(graph.operators))
    return min(most, max(_LEAST_PHOTOS, int(_BUDGET_MACS / work)))


def _each_alone(parts: Parts, plan: Plan, inputs: list[Array]) -> dict[str, Effect]:
    names = [name for name in plan.layers if parts.graph.makes_noise(name, plan)]
    found = {}
    with progress.bar("layer by layer", total=len(names)) as advance:
        for name in names:
            found[name] = parts.only(name, inputs)
            advance()
    return found


def _loudest(effects: Mapping[str, Effect]) -> list[str]:
    """Return the operations that stand out by their noise, a few at most."""
    ranked = sorted(effects, key=lambda name: -effects[name].noise)[:_FEW]
    most = effects[ranked[0]].noise if ranked else 0.0
    return [name for name in ranked if most and effects[name].noise >= _STANDS_OUT * most]


def _relief(parts: Parts, names: list[str], inputs: Iterable[Array]) -> Relief | None:
    if not names:
        return None
    effect = parts.all_but(names, inputs)
    labels = tuple(parts.graph.labels[name] for name in names)
    return Relief(layers=labels, noise=effect.noise, flips=effect.flips)


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
