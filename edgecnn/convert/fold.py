"""Batch norm folded into the convolution before it, in double precision.

The converters fold most of them, each its own way and in single precision; folding
first gives both formats the same weights, and quantization the weights that will run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import keras
import numpy as np
import numpy.typing as npt

from edgecnn.core.normalization import Normalization, same_for_all

Array: TypeAlias = npt.NDArray[Any]

_CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)


def fold_batch_norm(model: keras.Model, *, start: str | None = None) -> keras.Model:
    """Return an inference copy of a functional model without foldable batch norms.

    A batch norm folds where it is the only consumer of a convolution without activation.
    The original model is left as it is.

    Args:
        model: A functional model without nested models.
        start: Name of a layer whose output becomes the copy's input; None keeps the
            model's own input.

    Source: Jacob et al. 2018, arXiv:1712.05877, section 3.2.
    """
    if start is not None:
        model = keras.Model(model.get_layer(start).output, model.output, name=model.name)
    folded = _foldable(model)
    convolutions = {convolution.name for convolution in folded.values()}
    copy = keras.models.clone_model(
        model, clone_function=_cloner(convolutions), call_function=_skipper(set(folded))
    )
    # Keras counts the models of a process up; the name is in the files, which should not differ.
    copy = keras.Model(copy.input, copy.output, name="network")
    norms = {convolution.name: norm for norm, convolution in folded.items()}
    for layer in model.layers:
        if layer.name in norms:
            norm = model.get_layer(norms[layer.name])
            copy.get_layer(layer.name).set_weights(_folded_weights(layer, norm))
        elif layer.name not in folded and layer.get_weights():
            copy.get_layer(layer.name).set_weights(layer.get_weights())
    return copy


def fold_channels(model: keras.Model, normalization: Normalization) -> Normalization | None:
    """Let the first convolutions do what a normalization does to each channel differently.

    An integer file's input has one grid for all channels, so that a camera's bytes fit it.
    Exact but for the zero padding at the border: the pixel that means zero becomes the mean
    of the channels' ones.

    Args:
        model: Takes what ``normalization`` makes of pixels; its weights are changed.
        normalization: One scale and offset a channel.

    Returns:
        The normalization that the model then takes, the same for all channels; None, and
        nothing is changed, where others than plain convolutions with a bias read the input.
    """
    readers = list(_first_layers(model))
    if not all(_is_plain(layer) for layer in readers):
        return None
    scale, offset = (np.asarray(v, np.float64) for v in (normalization.scale, normalization.offset))
    common = float(scale.mean())
    zero = round(float((-offset / scale).mean()))
    for layer in readers:
        kernel, bias = (np.asarray(w, np.float64) for w in layer.get_weights())
        shift = kernel * (offset + zero * scale)[:, None]
        kept = (2,) if isinstance(layer, keras.layers.DepthwiseConv2D) else ()
        axes = tuple(axis for axis in (0, 1, 2) if axis not in kept)
        bias = bias + shift.sum(axis=axes).reshape(bias.shape)
        kernel = kernel * (scale / common)[:, None]
        layer.set_weights([kernel.astype(np.float32), bias.astype(np.float32)])
    return same_for_all(common, -common * zero)


def _first_layers(model: keras.Model) -> Iterator[keras.Layer]:
    """Yield the layers that read the input, or the input with a border of zeros."""
    tensors = {id(model.input)}
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        sources = [t for node in layer._inbound_nodes for t in node.input_tensors]
        if not any(id(tensor) in tensors for tensor in sources):
            continue
        if isinstance(layer, keras.layers.ZeroPadding2D):
            tensors.add(id(layer.output))
        else:
            yield layer


def _is_plain(layer: keras.Layer) -> bool:
    is_convolution = isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D)
    return is_convolution and layer.use_bias and getattr(layer, "groups", 1) == 1


def _foldable(model: keras.Model) -> dict[str, keras.Layer]:
    """Return each foldable batch norm's name with the convolution before it."""
    producers: dict[int, keras.Layer] = {}
    consumers: dict[int, int] = {}
    for operation in model.operations:
        for node in operation._inbound_nodes:
            for tensor in node.input_tensors:
                consumers[id(tensor)] = consumers.get(id(tensor), 0) + 1
            for tensor in node.outputs:
                producers[id(tensor)] = operation
    pairs = {}
    for layer in model.layers:
        if not isinstance(layer, keras.layers.BatchNormalization):
            continue
        convolution = producers.get(id(layer.input))
        if (
            isinstance(convolution, _CONVOLUTIONS)
            and convolution.activation is keras.activations.linear
            and consumers[id(layer.input)] == 1
        ):
            pairs[layer.name] = convolution
    return pairs


def _cloner(convolutions: set[str]) -> Callable[[keras.Layer], keras.Layer]:
    def clone(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        if layer.name in convolutions:
            config["use_bias"] = True
        return type(layer).from_config(config)

    return clone


def _skipper(norms: set[str]) -> Callable[..., Any]:
    def call(layer: keras.Layer, *inputs: Any, **options: Any) -> Any:
        return inputs[0] if layer.name in norms else layer(*inputs, **options)

    return call


def _folded_weights(layer: keras.Layer, norm: keras.Layer) -> list[Array]:
    weights = [np.asarray(w, np.float64) for w in layer.get_weights()]
    bias = weights.pop() if layer.use_bias else np.zeros(1)
    mean = np.asarray(norm.moving_mean, np.float64)
    deviation = np.sqrt(np.asarray(norm.moving_variance, np.float64) + norm.epsilon)
    gain = (np.asarray(norm.gamma, np.float64) if norm.scale else 1.0) / deviation
    shift = np.asarray(norm.beta, np.float64) if norm.center else 0.0
    kernel = weights[-1]
    if isinstance(layer, keras.layers.DepthwiseConv2D):  # [h, w, channels, multiplier]
        weights[-1] = kernel * gain.reshape(kernel.shape[2:])
    else:  # [h, w, in, out], also SeparableConv2D's pointwise kernel
        weights[-1] = kernel * gain
    return [w.astype(np.float32) for w in (*weights, (bias - mean) * gain + shift)]
