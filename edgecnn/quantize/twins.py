"""A plan in the words of another format's graph: which tensor there is which here.

Converters name and lay out tensors each their own way, but on the same photo the same
tensor has the same values, in whatever order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn.quantize.grid import Grid
from edgecnn.quantize.plan import Layer, Plan, Rounded

Array: TypeAlias = npt.NDArray[Any]

# Runtimes sum in different orders: signs of one tensor differ by less than this share.
_TOLERANCE = 1e-4
# A layer's integers are this near to its twin's weights, or it is another layer.
_LARGEST_ERROR = 0.1


@dataclasses.dataclass(frozen=True)
class Decided:
    """A plan's decisions by the names of another graph.

    Attributes:
        grids: Of activations.
        layers: Of operations, by the name of their output; weights still in TFLite's layout.
        per_tensor: Whether the channels of a layer's weights share one scale.
    """

    grids: Mapping[str, Grid]
    layers: Mapping[str, Layer]
    per_tensor: bool = False


NOTHING = Decided({}, {})
"""No plan: a file that is quantized on its own."""


def translate(plan: Plan, ours: Mapping[str, Array], others: Mapping[str, Array]) -> Decided:
    """Return the plan by the names of another graph.

    Args:
        plan: Made on the first graph.
        ours: Its activations on one photo.
        others: The other graph's activations on the same photo, in any layout.

    Returns:
        What could be told apart; tensors that only one of the graphs has are left out.
    """
    signs = {name: _sign(value) for name, value in ours.items() if name in plan.tensors}
    grids, layers = {}, {}
    for name, value in others.items():
        twins = _alike(_sign(value), signs)
        if twins:
            grids[name] = plan.tensors[twins[0]].grid
        # A reshaped copy has the same values: the layer is the one that computes them.
        weighted = [plan.layers[t] for t in twins if t in plan.layers]
        layer = next((one for one in weighted if one.rounding), None) or next(iter(weighted), None)
        if layer is not None:
            layers[name] = layer
    return Decided(grids, layers, plan.per_tensor)


def fits(rounded: Rounded, weights: Array, axis: int) -> bool:
    """Tell whether integers stand for these float weights, in the same layout."""
    if rounded.weights.shape != weights.shape:
        return False
    shape = [1] * weights.ndim
    shape[axis] = -1
    error = rounded.weights * rounded.scales.reshape(shape) - weights
    # Where one scale serves channels of very different ranges, a step is large for most of them.
    step = np.linalg.norm(np.broadcast_to(rounded.scales.reshape(shape), weights.shape))
    return bool(np.linalg.norm(error) <= _LARGEST_ERROR * np.linalg.norm(weights) + step)


def _sign(value: Array) -> Array:
    """Return what tells a tensor from others: its size, and moments of its values."""
    flat = value.reshape(-1).astype(np.float64)
    return np.asarray([flat.size, flat.min(), flat.max(), flat.mean(), np.sqrt(np.mean(flat**2))])


def _alike(sign: Array, signs: Mapping[str, Array]) -> list[str]:
    scale = max(abs(sign[1]), abs(sign[2]))
    return [
        name
        for name, other in signs.items()
        if other[0] == sign[0] and np.abs(other[1:] - sign[1:]).max() <= _TOLERANCE * scale
    ]
