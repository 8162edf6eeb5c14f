"""What one Keras layer does to an image: its window, its multiplications, how far it sees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from edgecnn.core import receptive
from edgecnn.core.receptive import Field, Window

Shape = tuple[int, ...]

_TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
_SEPARABLE = (layers.SeparableConv1D, layers.SeparableConv2D)
_GATHERING = (
    layers.Conv1D,
    layers.Conv2D,
    layers.Conv3D,
    layers.DepthwiseConv1D,
    layers.DepthwiseConv2D,
    layers.Dense,
)


def window_of(layer: Any, rank: int) -> Window | None:
    """Return the window of a convolution or pooling; None of other layers.

    Args:
        layer: Of any kind, also one's own.
        rank: Axes of its input, batch and channels among them.
    """
    kernel = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    if not isinstance(kernel, tuple) or len(kernel) != rank - 2:
        return None
    ones = (1,) * len(kernel)
    return Window(
        kernel=kernel,
        stride=_each(getattr(layer, "strides", None), ones),
        dilation=_each(getattr(layer, "dilation_rate", None), ones),
        padding=str(getattr(layer, "padding", "")),
    )


def macs_of(layer: Any, inputs: Sequence[Shape], output: Shape) -> int:
    """Return the multiply-accumulates of one image: each kernel weight at each place.

    Args:
        layer: Activations, norms and poolings count nothing.
        inputs: Shapes of its inputs, batch first.
        output: Shape of its output, batch first.
    """
    if isinstance(layer, keras.Model):
        from edgecnn.zoo.cost import cost

        return cost(layer).macs
    # A transposed convolution spreads each value of its input; others gather their output.
    if isinstance(layer, _TRANSPOSED):
        return _places(layer, inputs[0]) * math.prod(layer.kernel.shape)
    if isinstance(layer, _SEPARABLE):
        kernels = (layer.depthwise_kernel, layer.pointwise_kernel)
        return _places(layer, output) * sum(math.prod(kernel.shape) for kernel in kernels)
    if isinstance(layer, _GATHERING):
        return _places(layer, output) * math.prod(layer.kernel.shape)
    return _product_macs(layer, inputs, output)


def _product_macs(layer: Any, inputs: Sequence[Shape], output: Shape) -> int:
    """Return the multiply-accumulates of products of whole tensors."""
    each = math.prod(output[1:])
    match layer:
        case layers.EinsumDense():
            terms, result = layer.equation.replace("...", "").split("->")
            kernel = zip(terms.split(",")[1], layer.kernel.shape, strict=True)
            return each * math.prod(length for letter, length in kernel if letter not in result)
        case layers.Dot():
            axes = (layer.axes,) * 2 if isinstance(layer.axes, int) else layer.axes
            return each * int(inputs[0][axes[0]])
        case _ if type(layer).__name__ == "Matmul":
            return each * int(inputs[0][-1])
    return 0


def field_of(layer: Any, inputs: Sequence[tuple[Field, Shape]], output: Shape) -> Field:
    """Return what one value of a layer's output sees of the image.

    Args:
        layer: Of any kind; of an unknown one the least that fits its shapes.
        inputs: Field and shape of each tensor that it reads.
        output: Shape of its output, batch first.
    """
    field = receptive.merged([field for field, _ in inputs])
    before = max((shape for _, shape in inputs), key=_size, default=())
    axes = _spatial(layer, len(before))
    window = window_of(layer, len(before))
    if window is not None:
        follow = receptive.back_through if isinstance(layer, _TRANSPOSED) else receptive.through
        return follow(field, window, axes)
    if "Global" in type(layer).__name__:
        return receptive.reduced(field, before, output, axes)
    return _placed(layer, field, before, output)


def _placed(layer: Any, field: Field, before: Shape, after: Shape) -> Field:
    """Return the field behind a layer without a window."""
    match layer:
        case layers.Permute():
            return receptive.permuted(field, [0, *layer.dims])
        case layers.Flatten() | layers.Reshape():
            return receptive.reshaped(field, before, after)
        case layers.Concatenate() | layers.ZeroPadding1D() | layers.ZeroPadding2D():
            return field
    return receptive.scaled(field, before, after)


def _spatial(layer: Any, rank: int) -> range:
    first = 2 if getattr(layer, "data_format", None) == "channels_first" else 1
    return range(first, first + max(rank - 2, 0))


def _places(layer: Any, shape: Shape) -> int:
    if isinstance(layer, layers.Dense):
        return math.prod(shape[1:-1])
    return math.prod(shape[axis] for axis in _spatial(layer, len(shape)))


def _each(given: Any, default: tuple[int, ...]) -> tuple[int, ...]:
    if isinstance(given, int):
        return (given,) * len(default)
    return tuple(given) if given else default


def _size(shape: Shape) -> int:
    return math.prod(length or 1 for length in shape)
