"""Which channels of a Keras network may be multiplied by a number, its answers unchanged.

A channel that is made s times larger, and divided by s again where it is read, is the same
function as long as all between is homogeneous: f(s x) = s f(x) for every s > 0. Tensors
that must be multiplied together are one group: a residual stream is one, with all the
layers that write to it and all that read it.

Source: Nagel et al. 2019, arXiv:1906.04721, section 4.1, for two layers in a row.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras

_HOMOGENEOUS = (keras.activations.linear, keras.activations.relu, keras.activations.leaky_relu)
_PASSING = {
    keras.layers.Add, keras.layers.Average, keras.layers.AveragePooling2D,
    keras.layers.Cropping2D, keras.layers.Dropout, keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling2D, keras.layers.Identity, keras.layers.LeakyReLU,
    keras.layers.MaxPooling2D, keras.layers.Maximum, keras.layers.Minimum,
    keras.layers.PReLU, keras.layers.Reshape, keras.layers.SpatialDropout2D,
    keras.layers.Subtract, keras.layers.UpSampling2D, keras.layers.ZeroPadding2D,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Part:
    """An array of a layer's weights, and the groups of its channels.

    Attributes:
        layer: The layer's name.
        position: Of the array among the layer's weights.
        reads: Group of the channels along the last axis but one; None: not to be scaled.
        writes: Group of those along the last axis; along the last two of a depthwise kernel,
            as that is how its outputs are numbered.
        is_depthwise: Whether each input channel has outputs of its own.
        is_bias: Whether it has no inputs, and its range doesn't count.
    """

    layer: str
    position: int
    reads: int | None
    writes: int | None
    is_depthwise: bool = False
    is_bias: bool = False


@dataclasses.dataclass(frozen=True)
class Cap:
    """An activation that cuts off what is above a limit, as ReLU6 does.

    Attributes:
        group: Of the channels that it cuts.
        tensor: Its output, of the model.
        limit: The largest value that it lets through.
    """

    group: int
    tensor: Any
    limit: float


@dataclasses.dataclass(frozen=True)
class Channels:
    """The groups of a network's channels.

    Attributes:
        sizes: Channels of each group that may be scaled; where there are caps, only as far
            as no value reaches them, before or after.
        parts: What scaling a group changes.
        caps: Of these groups.
    """

    sizes: Mapping[int, int]
    parts: tuple[Part, ...]
    caps: tuple[Cap, ...]

    @property
    def exact(self) -> Mapping[int, int]:
        """Those of the sizes whose groups may be scaled by anything."""
        capped = {cap.group for cap in self.caps}
        return {group: size for group, size in self.sizes.items() if group not in capped}


def scalable_channels(model: keras.Model) -> Channels:
    """Find the groups of channels that may be scaled.

    A group ends at whatever isn't known to be homogeneous, and at the network's own inputs
    and outputs: one that touches these isn't scaled at all.

    Args:
        model: A functional model without nested models; batch norms that are left in it
            end groups.
    """
    finder = _Finder()
    for nodes in model._nodes_by_depth.values():
        for node in nodes:
            finder.visit(node)
    for tensor in model.outputs:
        finder.hold([tensor])
    return finder.channels()


class _Finder:
    """Sets of tensors that are scaled together, united one operation after another."""

    def __init__(self) -> None:
        self._parents: dict[Any, Any] = {}
        self._sizes: dict[Any, int] = {}  # at the sets' representatives
        self._held: set[Any] = set()
        self._parts: dict[tuple[str, int], tuple[Any, Any, Part]] = {}
        self._caps: list[tuple[Any, Any, float]] = []

    def channels(self) -> Channels:
        """Return the groups that nothing holds, numbered."""
        held = {self._find(key) for key in self._held}
        written = {self._find(writes) for _, writes, _ in self._parts.values()}
        read = {self._find(reads) for reads, _, _ in self._parts.values() if reads is not None}
        free = sorted((written & read) - held, key=list(self._sizes).index)
        number = {key: place for place, key in enumerate(free)}

        def group(key: Any) -> int | None:
            return None if key is None else number.get(self._find(key))

        parts = [
            dataclasses.replace(part, reads=group(reads), writes=group(writes))
            for reads, writes, part in self._parts.values()
        ]
        caps = ((group(key), tensor, limit) for key, tensor, limit in self._caps)
        return Channels(
            {place: self._sizes[key] for key, place in number.items()},
            tuple(part for part in parts if part.reads is not None or part.writes is not None),
            tuple(Cap(place, tensor, limit) for place, tensor, limit in caps if place is not None),
        )

    def hold(self, tensors: Iterable[Any]) -> None:
        """Let tensors stay as they are."""
        self._held.update(self._tensor(tensor) for tensor in tensors)

    def visit(self, node: Any) -> None:
        """Take in one operation."""
        layer = node.operation
        is_known = getattr(layer, "data_format", None) != "channels_first"
        rule = _RULES.get(type(layer)) if is_known else None
        if rule is None:
            self.hold([*node.input_tensors, *node.outputs])
        else:
            rule(self, layer, node)

    def pass_on(self, _layer: Any, node: Any) -> None:
        """Scale what goes in as what comes out, channel by channel."""
        tensors = [*node.input_tensors, *node.outputs]
        if len({tensor.shape[-1] for tensor in tensors}) > 1:
            self.hold(tensors)
        else:
            self._unite(*map(self._tensor, tensors))

    def flatten(self, _layer: Any, node: Any) -> None:
        """Number the channels on and on: channel i of C is the output's i, C + i, 2 C + i..."""
        if None in node.outputs[0].shape[1:]:
            self.hold([*node.input_tensors, *node.outputs])
        else:
            self._unite(self._tensor(node.input_tensors[0]), self._tensor(node.outputs[0]))

    def multiply(self, _layer: Any, node: Any) -> None:
        """Scale the maps that a gate of one value a channel opens and closes, not the gate."""
        gates = [t for t in node.input_tensors if all(side == 1 for side in t.shape[1:-1])]
        maps = [t for t in node.input_tensors if all(t is not gate for gate in gates)]
        channels = {tensor.shape[-1] for tensor in (*node.input_tensors, *node.outputs)}
        if len(maps) == 1 and len(channels) == 1:
            self.hold(gates)
            self._unite(self._tensor(maps[0]), self._tensor(node.outputs[0]))
        else:
            self.hold([*node.input_tensors, *node.outputs])

    def rectify(self, layer: Any, node: Any) -> None:
        """Pass on what a ReLU lets through, up to its largest value."""
        self.pass_on(layer, node)
        if layer.threshold:
            self.hold(node.outputs)
        elif layer.max_value is not None:
            self._cap(node.outputs[0], float(layer.max_value))

    def activate(self, layer: Any, node: Any) -> None:
        """Pass on what an activation layer lets through."""
        self.pass_on(layer, node)
        self._activated(layer, node)

    def layer(self, layer: Any, node: Any) -> None:
        """Take in a convolution or a dense layer; one that is used twice ties its groups."""
        depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
        reads, writes = self._ends(layer, node)
        self._part(layer, 0, reads, writes, is_depthwise=depthwise)
        self._bias(layer, 1, writes)
        if getattr(layer, "groups", 1) > 1:  # its kernel numbers inputs within each group
            self._held.add(reads)

    def separable(self, layer: Any, node: Any) -> None:
        """Take in a depthwise convolution with a pointwise one after it."""
        reads, writes = self._ends(layer, node)
        inner = self._key((layer.name, "inner"), layer.pointwise_kernel.shape[2])
        self._part(layer, 0, reads, inner, is_depthwise=True)
        self._part(layer, 1, inner, writes)
        self._bias(layer, 2, writes)

    def _ends(self, layer: Any, node: Any) -> tuple[Any, Any]:
        self._activated(layer, node)
        (source,), (target,) = node.input_tensors, node.outputs
        reads = self._key((layer.name, "reads"), source.shape[-1])
        writes = self._key((layer.name, "writes"), target.shape[-1])
        self._unite(reads, self._tensor(source))
        self._unite(writes, self._tensor(target))
        return reads, writes

    def _part(
        self, layer: Any, position: int, reads: Any, writes: Any, *, is_depthwise: bool = False
    ) -> None:
        part = Part(layer.name, position, None, None, is_depthwise)
        self._parts[layer.name, position] = reads, writes, part

    def _bias(self, layer: Any, position: int, writes: Any) -> None:
        if layer.use_bias:
            part = Part(layer.name, position, None, None, is_bias=True)
            self._parts[layer.name, position] = None, writes, part

    def _activated(self, layer: Any, node: Any) -> None:
        if layer.activation is keras.activations.relu6:
            self._cap(node.outputs[0], 6.0)
        elif layer.activation not in _HOMOGENEOUS:
            self.hold(node.outputs)

    def _cap(self, tensor: Any, limit: float) -> None:
        self._caps.append((self._tensor(tensor), tensor, limit))

    def _tensor(self, tensor: Any) -> Any:
        return self._key(id(tensor), (tensor.shape or (1,))[-1] or 1)

    def _key(self, key: Any, size: int) -> Any:
        if key not in self._parents:
            self._parents[key], self._sizes[key] = key, size
        return key

    def _find(self, key: Any) -> Any:
        while self._parents[key] != key:
            key = self._parents[key]
        return key

    def _unite(self, first: Any, *others: Any) -> None:
        for other in others:
            ours, theirs = self._find(first), self._find(other)
            self._parents[theirs] = ours
            self._sizes[ours] = math.gcd(self._sizes[ours], self._sizes[theirs])


_Rule = Callable[[_Finder, Any, Any], None]
_RULES: dict[type, _Rule] = {
    **dict.fromkeys(_PASSING, _Finder.pass_on),
    keras.layers.Activation: _Finder.activate,
    keras.layers.Conv2D: _Finder.layer,
    keras.layers.Dense: _Finder.layer,
    keras.layers.DepthwiseConv2D: _Finder.layer,
    keras.layers.Flatten: _Finder.flatten,
    keras.layers.Multiply: _Finder.multiply,
    keras.layers.ReLU: _Finder.rectify,
    keras.layers.SeparableConv2D: _Finder.separable,
}
