"""Padding as torch does it: as much on either side, where "same" gives the far side more.

The two differ in strided layers only, by half a stride. Weights that were trained with one
lose accuracy under the other; so a network for torch's weights is rebuilt with its padding.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

_CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D)


def symmetric(model: keras.Model) -> keras.Model:
    """Return a copy, with random weights, whose strided layers pad alike on all sides.

    Names stay; a padding layer is named after the layer that it serves.

    Args:
        model: Flat and functional; its kernels have odd sizes.
    """
    after_relu = {
        id(layer.output)
        for layer in model.layers
        if isinstance(layer, layers.ReLU | layers.Softmax)
    }
    lowest = {
        layer.name: 0.0 if id(layer.input) in after_relu else float("-inf")
        for layer in model.layers
        if isinstance(layer, layers.MaxPooling2D)
    }

    def call(layer: keras.Layer, *inputs: Any, **options: Any) -> Any:
        name, kernel, is_strided = layer.name, _kernel(layer), _is_strided(layer)
        if not is_strided:
            return layer(*inputs, **options)
        if lowest.get(name, 0.0) < 0:
            return _pool(layer, inputs[0])
        margin = tuple(size // 2 for size in kernel)
        padded = layers.ZeroPadding2D(margin, name=f"{name.removesuffix('_conv')}_pad")(inputs[0])
        return type(layer).from_config({**layer.get_config(), "padding": "valid"})(padded)

    copy = keras.models.clone_model(model, call_function=call)
    return keras.Model(copy.input, copy.output, name=model.name)


def _kernel(layer: keras.Layer) -> tuple[int, ...]:
    return tuple(getattr(layer, "kernel_size", getattr(layer, "pool_size", (1,))))


def _is_strided(layer: keras.Layer) -> bool:
    """Tell whether it matters how the layer pads."""
    kinds = (*_CONVOLUTIONS, layers.MaxPooling2D)
    if not isinstance(layer, kinds) or layer.padding != "same":
        return False
    return max(layer.strides) > 1 and max(_kernel(layer)) > 1


def _pool(layer: keras.Layer, x: Any) -> Any:
    """Pool numbers that may be below zero, where zeros beside them would win.

    "Same" with stride 1 pads alike on both sides, with nothing; then every second is taken.
    """
    x = layers.MaxPooling2D(layer.pool_size, 1, padding="same", name=f"{layer.name}_all")(x)
    return layers.MaxPooling2D(1, layer.strides, name=layer.name)(x)
