"""One operation quantized, all others in float: what becomes of its result and the answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

from edgecnn.core.quiet import quiet_stderr
from edgecnn.explain.difference import Difference, change_of_lead, decibels
from edgecnn.explain.graph import Graph
from edgecnn.explain.partial import Partial, Weights, partly_quantized
from edgecnn.quantize.nearest import expected_shift
from edgecnn.quantize.plan import Plan, Rounded
from edgecnn.quantize.tflite_layer import Layer

Array: TypeAlias = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Effect:
    """What quantizing one operation does.

    Attributes:
        sqnr_db: Of its output; none without an error there.
        noise: Mean square change of the first answer's lead over the second, where it is small.
        flips: Photos whose answer changes.
    """

    sqnr_db: float | None = None
    noise: float = 0.0
    flips: int = 0


class Parts:
    """A network of which any operation can be quantized alone.

    Attributes:
        graph: The float network.
        noisy: Names of the operations that add an error of their own, in order.
    """

    def __init__(self, float_file: bytes, plan: Plan, whole: Difference) -> None:
        self._file, self._plan, self._whole = float_file, plan, whole
        self.graph = Graph(float_file)
        self.noisy = [name for name in plan.layers if self.graph.makes_noise(name, plan)]

    def only(self, name: str, inputs: Sequence[Array]) -> Effect:
        """Quantize one operation: its weights, and its result.

        Args:
            name: In the plan.
            inputs: The first of the photos that the whole network was compared on.
        """
        weights = self._centred(name)
        partial = partly_quantized(
            self._file,
            self._plan,
            weights={name: weights} if weights else {},
            on_grid=[name],
            beside=name,
        )
        return self._effect(partial, inputs)

    def _centred(self, name: str) -> Weights | None:
        """Return a layer's rounded weights, with the bias that makes its mean right.

        The plan's own bias also makes up for the errors of the layers before it.
        """
        layer, rounded = self.graph.layer(name), self._plan.layers[name].rounded
        if layer is None or rounded is None:
            return None
        weights = _real(layer, rounded)
        mean = self._whole.means[self.graph.input_of(layer)]
        return Weights(weights, layer.bias - expected_shift(layer, weights - layer.weights, mean))

    def _effect(self, partial: Partial, inputs: Iterable[Array]) -> Effect:
        signal = error = 0.0
        flips, changes = 0, []
        for photo, values in enumerate(_run(partial, inputs)):
            if partial.pair is not None:
                exact, made = (values[place].astype(np.float64) for place in partial.pair)
                signal += float(np.vdot(exact, exact))
                error += float(np.sum(np.square(made - exact)))
            scores = values[partial.scores].reshape(-1)
            changes.append(change_of_lead(self._whole.scores[photo], scores))
            flips += int(values[partial.output].argmax()) != self._whole.answers[photo]
        noise = self._whole.noise_of(np.asarray(changes))
        return Effect(decibels(signal, error), noise, int(flips))


def _real(layer: Layer, rounded: Rounded) -> Array:
    shape = [1] * rounded.weights.ndim
    shape[layer.axis] = -1
    return (rounded.weights * rounded.scales.reshape(shape)).astype(np.float32)


def _run(partial: Partial, inputs: Iterable[Array]) -> Iterator[dict[int, Array]]:
    with quiet_stderr():  # the runtime announces its delegate there
        interpreter = Interpreter(model_content=partial.content, num_threads=2)
        interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    places = {partial.scores, partial.output, *(partial.pair or ())}
    for value in inputs:
        interpreter.set_tensor(entry["index"], value)
        interpreter.invoke()
        yield {place: interpreter.get_tensor(place) for place in places}
