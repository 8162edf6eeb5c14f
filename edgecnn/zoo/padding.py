"""Padding as torch does it: as much on either side, where "same" gives the far side more.

The two differ in strided layers only, by a pixel. Weights that were trained with one lose
accuracy under the other; so a network for torch's weights is rebuilt with its padding.
Caffe pads convolutions as torch does; its pooling runs over the far edge, as "same" does
for an even size.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from edgecnn.core.checkpoint import Padding

_CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D)


def repadded(model: keras.Model, padding: Padding) -> keras.Model:
    """Return a copy, with random weights, whose strided layers pad alike on all sides.

    Names stay; a padding layer is named after the layer that it serves.

    Args:
        model: Flat and functional; its kernels have odd sizes.
        padding: "symmetric"; or "caffe", which leaves pooling as it is.
    """
    kinds = _CONVOLUTIONS if padding == "caffe" else (*_CONVOLUTIONS, layers.MaxPooling2D)
    positive = {id(layer.output) for layer in model.layers if isinstance(layer, layers.ReLU)}
    pools = [layer for layer in model.layers if isinstance(layer, layers.MaxPooling2D)]
    of_any_sign = {layer.name for layer in pools if id(layer.input) not in positive}

    def call(layer: keras.Layer, *inputs: Any, **options: Any) -> Any:
        if not isinstance(layer, kinds) or not _is_strided(layer):
            return layer(*inputs, **options)
        if layer.name in of_any_sign:
            return _pool(layer, inputs[0])
        margin = tuple(size // 2 for size in _kernel(layer))
        name = f"{layer.name.removesuffix('_conv')}_pad"
        padded = layers.ZeroPadding2D(margin, name=name)(inputs[0])
        return type(layer).from_config({**layer.get_config(), "padding": "valid"})(padded)

    copy = keras.models.clone_model(model, call_function=call)
    return keras.Model(copy.input, copy.output, name=model.name)


def _kernel(layer: keras.Layer) -> tuple[int, ...]:
    return tuple(getattr(layer, "kernel_size", getattr(layer, "pool_size", (1,))))


def _is_strided(layer: keras.Layer) -> bool:
    """Tell whether it matters how the layer pads."""
    return layer.padding == "same" and max(layer.strides) > 1 and max(_kernel(layer)) > 1


def _pool(layer: keras.Layer, x: Any) -> Any:
    """Pool numbers that may be below zero, where zeros beside them would win.

    "Same" with stride 1 pads alike on both sides, with nothing; then every second is taken.
    """
    x = layers.MaxPooling2D(layer.pool_size, 1, padding="same", name=f"{layer.name}_all")(x)
    return layers.MaxPooling2D(1, layer.strides, name=layer.name)(x)
