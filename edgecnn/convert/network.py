"""A foreign network as TensorFlow's operations, and the two graphs that files are made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np
import tensorflow as tf

from edgecnn.convert.frozen import Frozen, freeze_call
from edgecnn.convert.graph import Graph, last_operation
from edgecnn.convert.graph_fold import fold_input, fold_layers, peel
from edgecnn.core.normalization import Normalization, same_for_all

Answer: TypeAlias = Literal["logits", "probabilities"]

_LEAST = 1e-7
_SHAPING = {"Reshape", "Squeeze", "ExpandDims"}


@dataclasses.dataclass(frozen=True, eq=False)
class Network:
    """A frozen graph that can be called inside of another.

    Attributes:
        graph: The GraphDef, weights as constants.
        input: Name of its one input, a Placeholder, as a tensor ("image:0").
        output: Name of its one output's tensor.
        shape: [1, H, W, C] of the input, float32.
        answer: Sizes of the output.
    """

    graph: Any
    input: str
    output: str
    shape: tuple[int, ...]
    answer: tuple[int, ...]

    def __call__(self, image: Any) -> Any:
        """Return the output for an input of the shape; inside a function that is traced."""
        (result,) = tf.graph_util.import_graph_def(
            self.graph, {_node(self.input): image}, [self.output], name="network"
        )
        return result

    def frozen(self) -> Frozen:
        """Return it as the converters take it."""
        return freeze_call(self, self.shape)

    @property
    def says(self) -> Answer:
        """What its last operation makes: softmax and sigmoid make probabilities."""
        last = last_operation(self.graph, self.output, past=_SHAPING)
        return "probabilities" if last.op in ("Softmax", "Sigmoid") else "logits"


def classifier(network: Network, answer: Answer) -> Network:
    """Return the network with a row of probabilities as its output, one for each class.

    A network with one output says how likely the second of two classes is.

    Args:
        network: Any network of one row of scores.
        answer: What it gives.
    """
    count = int(np.prod(network.answer))
    body = _before_sigmoid(network) if count == 1 else None
    if body is not None:
        network, answer = body, "logits"
    is_done = answer == network.says == "probabilities" and count > 1

    def call(image: Any) -> Any:
        scores = tf.reshape(network(image), (1, count))
        if count == 1 and answer == "logits":  # sigmoid(z) = softmax(-z/2, z/2), second part
            scores = tf.matmul(scores, tf.constant([[-0.5, 0.5]]))
        elif count == 1:
            scores = tf.concat([1.0 - scores, scores], axis=-1)
        if answer == "probabilities" and not is_done:  # as softmax has a grid that files know
            scores = tf.math.log(tf.maximum(scores, _LEAST))
        return scores if is_done else tf.nn.softmax(scores)

    return from_frozen(freeze_call(call, network.shape))


def pixel_graph(network: Network, normalization: Normalization, *, is_bgr: bool) -> Frozen:
    """Return the graph that takes pixels 0..255, RGB: float files normalize by themselves.

    Args:
        network: Takes what the normalization makes of pixels.
        normalization: In the network's own order of colours.
        is_bgr: The network wants blue first.
    """
    scale, offset = (tf.constant(v) for v in (normalization.scale, normalization.offset))

    def call(image: Any) -> Any:
        return network((tf.gather(image, [2, 1, 0], axis=-1) if is_bgr else image) * scale + offset)

    return freeze_call(call, network.shape)


def integer_graph(
    network: Network, normalization: Normalization, *, is_bgr: bool
) -> tuple[Frozen, Normalization]:
    """Return the graph that integer files are made of, and the normalization that it takes.

    That is the same for all channels, so that a camera's bytes fit the input's one grid.
    """
    graph = Graph(network.graph, _node(network.input), _node(network.output))
    wanted = fold_input(graph, peel(graph, normalization), is_bgr=is_bgr)
    fold_layers(graph)
    folded = dataclasses.replace(network, graph=graph.graph_def())
    return folded.frozen(), wanted


def own_normalization(network: Network) -> Normalization:
    """Return what a network itself does to each channel before its first layer."""
    graph = Graph(network.graph, _node(network.input), _node(network.output))
    return peel(graph, same_for_all(1.0, 0.0))


def from_frozen(frozen: Frozen) -> Network:
    """Return a frozen graph as a network."""
    function = frozen.function
    return Network(
        function.graph.as_graph_def(),
        function.inputs[0].name,
        function.outputs[0].name,
        frozen.shape,
        tuple(function.outputs[0].shape.as_list()),
    )


def runner(frozen: Frozen) -> Callable[[Any], Any]:
    """Return what answers one image [1, H, W, C], float32, with the graph's output."""
    return lambda image: np.asarray(frozen.function(tf.constant(image, tf.float32))[0])


def _before_sigmoid(network: Network) -> Network | None:
    """Return the network without the sigmoid at its end, if there is one."""
    last = last_operation(network.graph, network.output, past=_SHAPING)
    if last.op != "Sigmoid":
        return None
    return dataclasses.replace(network, output=f"{_node(last.input[0])}:0")


def _node(name: str) -> str:
    return name.partition(":")[0]
