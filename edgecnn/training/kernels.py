"""Which kernels of a network are compressed, why the others are spared, what became of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np

from edgecnn.core.checkpoint import CompressedLayer
from edgecnn.training.recipe import Reach

_NAMES = ("kernel", "pointwise_kernel", "depthwise_kernel")


@dataclasses.dataclass(frozen=True, eq=False)
class Kernel:
    """One kernel.

    Attributes:
        layer: Its layer's name.
        name: Its name in the layer.
        variable: Keras's.
        spared: Why it is left as it is; None where it is compressed.
    """

    layer: str
    name: str
    variable: Any
    spared: str | None


def kernels_of(model: keras.Model, reach: Reach) -> list[Kernel]:
    """Return all kernels of a classifier, in the order of its layers."""
    found = list(_kernels(model.layers))
    places = range(len(found))
    return [
        Kernel(
            layer.name,
            variable.name,
            variable,
            None if reach == "all" else spared(layer, variable, _end(place, places)),
        )
        for place, (layer, variable) in enumerate(found)
    ]


def chosen(layers: Iterable[keras.Layer], kernels: Iterable[Kernel]) -> list[Any]:
    """Return the variables, in layers that learn, of the kernels that are compressed.

    Args:
        layers: Those of the classifier that the kernels are of, or copies under their names.
        kernels: From `kernels_of`.
    """
    wanted = {(kernel.layer, kernel.name) for kernel in kernels if kernel.spared is None}
    return [
        variable for layer, variable in _kernels(layers) if (layer.name, variable.name) in wanted
    ]


def spared(layer: keras.Layer, variable: Any, end: str | None) -> str | None:
    """Return why a kernel keeps all its weights unless all are asked for; None: it needn't.

    The first and last layer have few weights, and their errors reach every answer; a
    depthwise filter has some nine weights, of which none makes up for another.
    """
    if end is not None:
        return f"the {end} layer"
    is_depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    return "depthwise" if is_depthwise or variable.name == "depthwise_kernel" else None


def report(kernels: Iterable[Kernel]) -> tuple[CompressedLayer, ...]:
    """Return what each kernel consists of."""
    return tuple(
        CompressedLayer(
            layer=kernel.layer,
            kernel=kernel.name,
            weights=int(np.prod(kernel.variable.shape)),
            zeros=int(np.sum(kernel.variable.numpy() == 0.0)),
            distinct=len(np.unique(kernel.variable.numpy())),
            spared=kernel.spared,
        )
        for kernel in kernels
    )


def _end(place: int, places: range) -> str | None:
    return {places[0]: "first", places[-1]: "last"}.get(place)


def _kernels(layers: Iterable[keras.Layer]) -> Iterator[tuple[keras.Layer, Any]]:
    for layer in layers:
        for variable in layer.weights:
            if variable.name in _NAMES:
                yield layer, variable
