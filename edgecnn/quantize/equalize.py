"""Cross-layer equalization: the same function, with weights whose channels reach alike far.

Where all channels of a layer share one scale, the integers of a channel of small weights
are few or none. What one layer makes larger the next can make smaller, so each channel gets
the factor that brings its weights before and after to even ranges.

Source: Nagel et al. 2019, arXiv:1906.04721, section 4.1: there one layer writes a channel
and one reads it; here any number, as on a residual stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import keras
import numpy as np
import numpy.typing as npt

from edgecnn.convert import tflite as to_tflite
from edgecnn.convert.frozen import freeze
from edgecnn.quantize.channels import Cap, Channels, Part, scalable_channels
from edgecnn.quantize.tflite import outputs_of

Array: TypeAlias = npt.NDArray[Any]
Factors: TypeAlias = dict[int, Array]
"""Of each group, one a channel."""

_SWEEPS = 200
_SETTLED = 1e-3
# A channel whose ranges before and after have a product this far below the largest is dead.
_DEAD = 1e-8
# No factor is further from 1: floats keep their digits.
_FREE = (-np.log(1e4), np.log(1e4))
# Photos that were not seen reach further than those that were: below a cap this stays free.
_HEADROOM = 1.25
# A channel that is silent on the photos may speak on others: it counts as reaching this share.
_SILENT = 0.05


def equalize(model: keras.Model, inputs: Iterable[Array] | None = None) -> keras.Model:
    """Return a network of the same answers, whose weights' channels have even ranges.

    A dead channel has no range to balance: what reads it gets the others' range.

    Args:
        model: A functional model, batch norms folded; is left as it is.
        inputs: Photos as the model takes them, [1, H, W, C] float32 each. Channels that stay
            well below ReLU6's six on all of them may be scaled as far as they stay there;
            None: channels that ReLU6 cuts aren't scaled, and the answers are exactly the same
            but for rounding of floats.
    """
    channels = scalable_channels(model)
    bounds = {} if inputs is None else _bounds(model, channels.caps, inputs)
    free = channels.exact if inputs is None else channels.sizes
    parts = {part: _reach(model, part) for part in channels.parts if not part.is_bias}
    return rescaled(model, channels, _even(free, parts, bounds))


def rescaled(model: keras.Model, channels: Channels, factors: Mapping[int, Array]) -> keras.Model:
    """Return a copy of a network whose channels are multiplied by factors.

    Args:
        model: The network.
        channels: Its groups.
        factors: Above zero, one a channel of each group; others stay.
    """
    copy = keras.models.clone_model(model)
    copy = keras.Model(copy.input, copy.output, name=model.name)
    by_layer: dict[str, list[Part]] = {}
    for part in channels.parts:
        by_layer.setdefault(part.layer, []).append(part)
    for layer in model.layers:
        weights = layer.get_weights()
        for part in by_layer.get(layer.name, ()):
            values = weights[part.position]
            weights[part.position] = (values * _gain(part, values.shape, factors)).astype(
                values.dtype
            )
        if weights:
            copy.get_layer(layer.name).set_weights(weights)
    return copy


def _gain(part: Part, shape: tuple[int, ...], factors: Mapping[int, Array]) -> Array:
    """Return what an array is multiplied by, to be broadcast."""
    gain = np.ones(shape[-2:] if part.is_depthwise else shape[-1:])
    if part.writes is not None and part.writes in factors:
        gain = _repeated(factors[part.writes], gain.size).reshape(gain.shape)
    if part.reads is not None and part.reads in factors:
        gain = gain / _repeated(factors[part.reads], shape[-2])[:, None]
    return gain


def _repeated(factors: Array, size: int) -> Array:
    """Return a group's factors for a flattened tensor, which has its channels again and again."""
    return np.tile(factors, size // len(factors))


def _reach(model: keras.Model, part: Part) -> Array:
    """Return [inputs, outputs]: the largest weight between them; of a depthwise kernel [C, M]."""
    values = np.abs(model.get_layer(part.layer).get_weights()[part.position].astype(np.float64))
    return np.asarray(values.max(axis=tuple(range(values.ndim - 2))))


def _even(
    sizes: Mapping[int, int],
    parts: Mapping[Part, Array],
    bounds: Mapping[int, tuple[Array, Array]],
) -> Factors:
    """Return the factors that bring ranges before and after to balance, group by group."""
    logs = {group: np.zeros(size) for group, size in sizes.items()}
    for _ in range(_SWEEPS):
        largest = 0.0
        for group, own in logs.items():
            factors = {other: np.exp(values) for other, values in logs.items()}
            step = _step(group, len(own), parts, factors)
            wanted = (own + step).clip(*bounds.get(group, _FREE))
            largest = max(largest, float(np.abs(wanted - own).max()))
            logs[group] = wanted
        if largest < _SETTLED:
            break
    return {group: np.exp(values) for group, values in logs.items()}


def _step(group: int, size: int, parts: Mapping[Part, Array], factors: Factors) -> Array:
    """Return [size]: the logarithm of what balances a group's channels now, 0 on average."""
    writing = [_ranges(p, a, factors, size, 1) for p, a in parts.items() if p.writes == group]
    reading = [_ranges(p, a, factors, size, 0) for p, a in parts.items() if p.reads == group]
    before, after = _mean_log(writing), _mean_log(reading)
    alive = before + after > np.max(before + after) + np.log(_DEAD)
    step = np.zeros(size)
    if alive.any():
        uneven = (after[alive] - before[alive]) / 2
        step[alive] = uneven - uneven.mean()
        # What reads a dead channel may have the largest weights of its layer: batch norms
        # divide by next to nothing there. They get the others' range.
        is_read = ~alive & np.isfinite(after)
        step[is_read] = after[is_read] - after[alive].mean()
    return step


def _ranges(part: Part, reach: Array, factors: Factors, size: int, axis: int) -> Array:
    """Return [size]: the largest weight of each of a group's channels."""
    scaled = reach * _gain(part, reach.shape, factors)
    is_single = axis == 1 and part.is_depthwise
    ends = scaled if is_single else scaled.max(axis=1 - axis)
    return np.asarray(ends.reshape(-1, size).max(axis=0))


def _mean_log(ranges: list[Array]) -> Array:
    """Return [C]: the mean logarithm over the layers where a channel has weights at all."""
    stacked = np.stack(ranges)
    count = (stacked > 0).sum(axis=0)
    logs = np.log(np.where(stacked > 0, stacked, 1.0)).sum(axis=0)
    return np.where(count > 0, logs / np.maximum(count, 1), -np.inf)


def _bounds(
    model: keras.Model, caps: Iterable[Cap], inputs: Iterable[Array]
) -> dict[int, tuple[Array, Array]]:
    """Return the logarithms of the least and the largest factor of each capped group's channels."""
    caps = list(caps)
    bounds: dict[int, tuple[Array, Array]] = {}
    for cap, peak in zip(caps, _peaks(model, caps, inputs), strict=True):
        room = cap.limit / (_HEADROOM * np.maximum(peak, _SILENT * cap.limit))
        is_free = room > 1
        high = np.where(is_free, np.log(room), 0.0)
        low = np.where(is_free, -np.inf, 0.0)
        before = bounds.get(cap.group, (low, high))
        bounds[cap.group] = np.maximum(low, before[0]), np.minimum(high, before[1])
    return bounds


def _peaks(model: keras.Model, caps: list[Cap], inputs: Iterable[Array]) -> list[Array]:
    """Return the largest value of each channel of each cap's output on any of the photos."""
    if not caps:
        return []
    tensors = [cap.tensor for cap in caps]
    highest = [keras.ops.amax(t, axis=range(1, len(t.shape) - 1)) for t in tensors]
    watching = keras.Model(model.input, keras.ops.concatenate(highest, axis=-1))
    # As a file: its kernels are several times faster than Keras's.
    file = to_tflite.float32(freeze(watching))
    peaks = np.max([np.zeros(watching.output.shape[-1]), *_rows(file, inputs)], axis=0)
    ends = np.cumsum([tensor.shape[-1] for tensor in tensors])
    return np.split(peaks, ends[:-1])


def _rows(file: bytes, inputs: Iterable[Array]) -> Iterator[Array]:
    return (output[0] for output in outputs_of(file, inputs))
