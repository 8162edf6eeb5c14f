"""What the input's grid adds to all pixels, taken back by the layers that read them.

A camera's bytes are the input's integers, so its zero point is whole. Where the true one
isn't, as with 127.5, all real values are half a step off.
"""

from __future__ import annotations

from typing import Any

from edgecnn.quantize.plan import Plan
from edgecnn.quantize.tflite_graph import name_of, operation
from edgecnn.quantize.tflite_layer import Layer
from edgecnn.quantize.tflite_operations import SAME_GRID, WEIGHTED


def copies_of_input(model: Any) -> set[int]:
    """Return the input and what only moves or pads its values."""
    graph = model.subgraphs[0]
    found = {int(graph.inputs[0])}
    for operator in graph.operators:
        if operation(model, operator) in SAME_GRID and int(operator.inputs[0]) in found:
            found.update(map(int, operator.outputs))
    return found


def correct_float_layers(model: Any, plan: Plan) -> None:
    """Let the biases of layers that stay in float take the shift back; integer ones did."""
    if not plan.input_shift:
        return
    graph, pixels = model.subgraphs[0], copies_of_input(model)
    for operator in graph.operators:
        decision = plan.layers.get(name_of(graph.tensors[operator.outputs[0]]))
        if operation(model, operator) not in WEIGHTED or decision is None:
            continue
        layer = Layer(model, operator)
        if decision.precision == "float32" and layer.data in pixels:
            bias = layer.bias - plan.input_shift * layer.sum_of_weights()
            layer.write_floats(layer.weights, bias)
