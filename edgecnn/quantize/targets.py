"""What each layer should answer: samples of the float network's values before activation."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from edgecnn.core.quiet import quiet_stderr
from edgecnn.quantize.patches import choose_places
from edgecnn.quantize.tflite_graph import new_operator, new_tensor, operation, pack, read
from edgecnn.quantize.tflite_layer import Layer

Array: TypeAlias = npt.NDArray[Any]

# Output positions over all photos: enough for a covariance of 1,000 channels; a depthwise
# channel's has 9 or 25.
_ROWS, _DEPTHWISE_ROWS = 16_000, 5_000
_ROUNDABLE = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}
_CLIPS = {
    schema.ActivationFunctionType.NONE: None,
    schema.ActivationFunctionType.RELU: "RELU",
    schema.ActivationFunctionType.RELU6: "RELU6",
}
# What lies further below or above the clipped range than this share of it doesn't matter.
_MARGIN = 1 / 12
_LARGEST = 6e4  # of float16, in which samples are kept


@dataclasses.dataclass
class Target:
    """What one layer should answer at some positions of each photo.

    Attributes:
        operator: Its place in the graph.
        places: [photos, P] output positions.
        values: [photos, P, channels] float16: before activation, with ``partner`` added.
        partner: A tensor that an addition right after the layer joins to its output, and
            that is there before; the sum should come out right, not the branch.
        clip: What cuts the values off: "RELU", "RELU6" or nothing.
    """

    operator: int
    places: Array
    values: Array
    partner: int | None
    clip: str | None

    def rows(self, photos: slice) -> Array:
        """Return [rows, channels] float32: the values of some photos."""
        return self.values[photos].reshape(-1, self.values.shape[2]).astype(np.float32)

    def weights_of(self, values: Array) -> Array | None:
        """Return how much each value matters: little where it is clipped; None: all alike."""
        if self.clip is None:
            return None
        top = 6.0 if self.clip == "RELU6" else float(values.max())
        inside = values > -_MARGIN * top
        if self.clip == "RELU6":
            inside &= values < (1 + _MARGIN) * top
        return np.where(inside, np.float32(1), np.float32(0.02))


def sample(
    float_file: bytes, inputs: Iterable[Array], *, photos: int, limit_bytes: int
) -> list[Target]:
    """Run photos through the float network and keep what its layers should answer.

    Args:
        float_file: A float32 TFLite file.
        inputs: [1, H, W, C] float32 each.
        photos: How many these are.
        limit_bytes: Of all samples together; more layers get fewer positions each.

    Returns:
        One target a convolution or dense layer whose weights are constants, in order.
    """
    model = read(float_file)
    graph = model.subgraphs[0]
    found = _targets(model, photos, limit_bytes)
    raw = _unfuse(model, [target.operator for target in found])
    watched = {*raw.values(), *(t.partner for t in found if t.partner is not None)}
    given = set(map(int, graph.inputs))
    graph.outputs = np.asarray(sorted(watched - given), np.int32)
    with quiet_stderr():  # the runtime announces its delegate there
        interpreter = Interpreter(model_content=pack(model), num_threads=2)
        interpreter.allocate_tensors()
    for photo, value in enumerate(inputs):
        interpreter.set_tensor(int(graph.inputs[0]), value)
        interpreter.invoke()
        for target in found:
            _take(target, photo, interpreter, raw[target.operator])
    return found


def _take(target: Target, photo: int, interpreter: Any, raw: int) -> None:
    channels = target.values.shape[2]
    places = target.places[photo]
    values = interpreter.get_tensor(raw).reshape(-1, channels)[places]
    if target.partner is not None:
        values = values + interpreter.get_tensor(target.partner).reshape(-1, channels)[places]
    target.values[photo] = values.clip(-_LARGEST, _LARGEST)


def _targets(model: Any, photos: int, limit_bytes: int) -> list[Target]:
    tensors = model.subgraphs[0].tensors
    rounded = [i for i, o in enumerate(model.subgraphs[0].operators) if _is_roundable(model, o)]
    sizes = {i: _output(model, i) for i in rounded}
    wanted = {i: _rows(model, i) for i in rounded}
    bytes_all = sum(2 * wanted[i] * tensors[sizes[i]].shape[-1] for i in rounded)
    share = min(1.0, limit_bytes / max(bytes_all, 1))
    found = []
    for i in rounded:
        shape = tensors[sizes[i]].shape
        positions = int(np.prod(shape[:-1]))
        rows = max(photos, int(share * wanted[i]))
        places = choose_places(positions, photos=photos, rows=rows, seed=i)
        values = np.zeros((photos, places.shape[1], shape[-1]), np.float16)
        partner, clip = _partner(model, i)
        found.append(Target(i, places, values, partner, clip))
    return found


def _is_roundable(model: Any, operator: Any) -> bool:
    if operation(model, operator) not in _ROUNDABLE:
        return False
    places = (operator.inputs[1], *(i for i in operator.inputs[2:] if i >= 0))
    tensors = model.subgraphs[0].tensors
    return all(model.buffers[tensors[i].buffer].data is not None for i in places)


def _output(model: Any, operator: int) -> int:
    return int(model.subgraphs[0].operators[operator].outputs[0])


def _rows(model: Any, operator: int) -> int:
    kind = operation(model, model.subgraphs[0].operators[operator])
    return _DEPTHWISE_ROWS if kind == "DEPTHWISE_CONV_2D" else _ROWS


def _partner(model: Any, place: int) -> tuple[int | None, str | None]:
    """Return what an addition joins to a layer's output, and what clips the values then."""
    graph = model.subgraphs[0]
    own = _clip(graph.operators[place])
    output = _output(model, place)
    readers = [o for o in graph.operators if output in o.inputs]
    if own or len(readers) != 1 or output in graph.outputs or len(set(readers[0].inputs)) != 2:
        return None, own
    if operation(model, readers[0]) != "ADD":
        return None, own
    (other,) = (int(i) for i in readers[0].inputs if i != output)
    before = {int(i) for o in graph.operators[:place] for i in o.outputs} | {*graph.inputs}
    same = [*graph.tensors[other].shape] == [*graph.tensors[output].shape]
    return (other, _clip(readers[0])) if same and other in before else (None, own)


def _clip(operator: Any) -> str | None:
    kind = getattr(operator.builtinOptions, "fusedActivationFunction", 0)
    return _CLIPS.get(kind)


def _unfuse(model: Any, places: list[int]) -> dict[int, int]:
    """Let layers write their values before activation; return where each writes."""
    graph = model.subgraphs[0]
    raw, operators = {}, []
    for place, operator in enumerate(graph.operators):
        operators.append(operator)
        if place not in places:
            continue
        raw[place] = output = int(operator.outputs[0])
        if clip := _clip(operator):
            raw[place] = new_tensor(model, output, "/raw")
            operator.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.NONE
            operator.outputs = np.asarray([raw[place]], np.int32)
            operators.append(new_operator(model, clip, raw[place], output))
    graph.operators = operators
    return raw


def layer_of(model: Any, target: Target) -> Layer:
    """Return the layer that a target is of, in a model of the same file."""
    return Layer(model, model.subgraphs[0].operators[target.operator])
