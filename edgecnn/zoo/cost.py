"""What a model costs: parameters, multiplications, memory, and how much of a photo it sees."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import keras
from keras import layers

from edgecnn.core import receptive
from edgecnn.core.layer import Layer
from edgecnn.zoo.graph import Step, steps_of, walk
from edgecnn.zoo.window import field_of, macs_of, window_of

_FLOAT_BYTES = 4

# What a run keeps of each parameter that learns: itself, its gradient, Adam's two averages.
_NUMBERS_A_WEIGHT = 4

# Layers that a runtime computes in the buffer of their input, or merges into the layer before.
_IN_PLACE = (
    layers.Activation,
    layers.BatchNormalization,
    layers.Dropout,
    layers.Flatten,
    layers.ReLU,
    layers.Rescaling,
    layers.Reshape,
    layers.Softmax,
)
# The same numbers in another form: nothing new to keep for the backward pass.
_VIEWS = (layers.Flatten, layers.Reshape)
# Layers whose gradient needs neither what they read nor what they made.
_LINEAR = (
    *_VIEWS,
    layers.Add,
    layers.AveragePooling2D,
    layers.Concatenate,
    layers.Cropping2D,
    layers.Dropout,
    layers.GlobalAveragePooling2D,
    layers.InputLayer,
    layers.Permute,
    layers.Rescaling,
    layers.UpSampling2D,
    layers.ZeroPadding2D,
)
# Functions whose gradient is one of what they made.
_FROM_OUTPUT = ("relu", "relu6", "sigmoid", "softmax", "tanh")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cost:
    """What one float32 inference takes, and what training does.

    Attributes:
        params: As Keras counts: batch norm's statistics included.
        trainable_params: Those that learn.
        macs: Multiply-accumulates of one image.
        activation_peak_bytes: Most bytes of activations alive at once, batch norm and
            activation functions computed in place.
        activation_bytes: All activations of one image.
        kept_bytes: Those that the backward pass reads again.
        receptive_field: Pixels of the image that one value of the output depends on.
        input_shape: Of one image.
        layers: In the order of execution, without the input.
    """

    params: int
    trainable_params: int
    macs: int
    activation_peak_bytes: int
    activation_bytes: int
    kept_bytes: int
    receptive_field: tuple[int, ...]
    input_shape: tuple[int, ...]
    layers: tuple[Layer, ...]

    def training_bytes(self, batch: int) -> int:
        """Return what the textbook's step on a batch needs, all activations kept.

        Beside them: weights, their gradients, the optimizer's two averages.
        """
        frozen = self.params - self.trainable_params
        numbers = _NUMBERS_A_WEIGHT * self.trainable_params + frozen
        return _FLOAT_BYTES * numbers + batch * self.activation_bytes


def cost(model: keras.Model) -> Cost:
    """Count parameters, multiply-accumulates and the memory of activations of one image."""
    rows = _layers(model)
    return Cost(
        params=model.count_params(),
        trainable_params=sum(math.prod(v.shape) for v in model.trainable_variables),
        macs=sum(row.macs for row in rows),
        activation_peak_bytes=_peak_bytes(model),
        activation_bytes=sum(_sizes(model).values()),
        kept_bytes=_kept_bytes(model),
        receptive_field=rows[-1].receptive_field if rows else (),
        input_shape=tuple(model.inputs[0].shape[1:]),
        layers=rows,
    )


def _layers(model: keras.Model) -> tuple[Layer, ...]:
    fields: dict[int, receptive.Field] = {}
    places: dict[int, int] = {}
    rows: list[Layer] = []
    for step in steps_of(model):
        if isinstance(step.layer, layers.InputLayer):
            axes = range(1, max(len(step.output.shape) - 1, 1))
            fields[id(step.output)] = receptive.of_image(axes)
            continue
        read = [(fields.get(id(t), ()), tuple(t.shape)) for t in step.inputs]
        field = field_of(step.layer, read, tuple(step.output.shape))
        sources = dict.fromkeys(places.get(id(t), -1) for t in step.inputs)
        for tensor in step.outputs:
            fields[id(tensor)], places[id(tensor)] = field, len(rows)
        rows.append(_layer(step, field, tuple(sources)))
    return tuple(rows)


def _layer(step: Step, field: receptive.Field, inputs: tuple[int, ...]) -> Layer:
    layer: Any = step.layer
    shape = tuple(step.output.shape)
    read = [tuple(tensor.shape) for tensor in step.inputs]
    # An operation such as a plain + in the graph is no layer and has no weights.
    params = layer.count_params() if isinstance(layer, keras.Layer) else 0
    window = window_of(layer, len(read[0]) if read else 0)
    return Layer(
        name=layer.name,
        op=type(layer).__name__,
        output_shape=shape[1:],
        params=params,
        macs=macs_of(layer, read, shape),
        bytes=params * _FLOAT_BYTES,
        activation_bytes=_bytes(step.output),
        kernel=window.kernel if window else None,
        stride=window.stride if window else None,
        padding=window.padding if window else None,
        dilation=window.dilation if window and max(window.dilation) > 1 else None,
        receptive_field=receptive.sizes(field),
        inputs=inputs,
    )


def _peak_bytes(model: keras.Model) -> int:
    sizes: dict[int, int] = {}
    peak, before = 0, set[int]()
    for step, alive in walk(model):
        sizes |= {id(tensor): _bytes(tensor) for tensor in step.outputs}
        reused = {id(t) for t in step.inputs} if isinstance(step.layer, _IN_PLACE) else set()
        # While a layer runs, all that it reads and all that is needed later is there.
        there = (before | alive) - (reused - alive)
        peak, before = max(peak, sum(sizes[tensor] for tensor in there)), alive
    return peak


def _sizes(model: keras.Model) -> dict[int, int]:
    """Return the bytes of each tensor of one image, by identity."""
    return {
        id(tensor): _bytes(tensor)
        for step in steps_of(model)
        for tensor in step.outputs
        if not isinstance(step.layer, _VIEWS)
    }


def _kept_bytes(model: keras.Model) -> int:
    sizes, kept = _sizes(model), set[int]()
    for step in steps_of(model):
        reads, makes = _needed_again(step.layer)
        kept |= {id(tensor) for tensor in step.inputs if reads}
        kept |= {id(tensor) for tensor in step.outputs if makes}
    return sum(sizes.get(tensor, 0) for tensor in kept)


def _needed_again(layer: Any) -> tuple[bool, bool]:
    """Tell whether a layer's gradient needs its input, and whether it needs its output."""
    if isinstance(layer, _LINEAR):
        return False, False
    activation = getattr(getattr(layer, "activation", None), "__name__", "")
    from_output = activation in _FROM_OUTPUT or isinstance(layer, (layers.ReLU, layers.Softmax))
    if isinstance(layer, (layers.Activation, layers.ReLU, layers.Softmax)):
        return not from_output, from_output
    multiplies = bool(getattr(layer, "weights", ())) or isinstance(layer, layers.Multiply)
    return True, from_output or not multiplies


def _bytes(tensor: Any) -> int:
    return _FLOAT_BYTES * math.prod(length or 1 for length in tensor.shape[1:])
