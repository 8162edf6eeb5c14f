"""A float TFLite file as a TensorFlow function: the same numbers, batched, with gradients.

Quantization-aware training needs the graph that is written, batch norm folded and operations
fused as in the file, not the network that it once came from.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from edgecnn.core.errors import InputError
from edgecnn.quantize.graph_operations import (
    OPERATIONS,
    PAIRWISE,
    Call,
    activated,
    aligned,
    run_operation,
)
from edgecnn.quantize.tflite_graph import constant, is_constant, name_of, operation, read
from edgecnn.quantize.tflite_operations import WEIGHTED

Array: TypeAlias = npt.NDArray[Any]

_DTYPES = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.INT32: np.int32,
    schema.TensorType.INT64: np.int64,
}


@dataclasses.dataclass(frozen=True)
class Step:
    """One operation of a graph.

    Attributes:
        name: As "CONV_2D".
        inputs: Names of the tensors that it reads; None where an optional one is absent.
        outputs: Names of those that it writes.
        shape: Of its first output for one photo.
        operator: The file's own, with its options.
    """

    name: str
    inputs: tuple[str | None, ...]
    outputs: tuple[str, ...]
    shape: tuple[int, ...]
    operator: Any


Reads: TypeAlias = Callable[[Step, int, Any], Any]
"""From an operation, an input's position and its value to the value that it computes with."""

Writes: TypeAlias = Callable[[Step, str, Any, Sequence[Any]], Any]
"""From an operation, an output's name, its value before the fused activation and what it was
computed from to the value that others read."""


class GraphFunction:
    """The operations of a float TFLite file with one input and one output.

    Attributes:
        model: The flatbuffer, read.
        steps: Its operations, in order.
        constants: Weights and shapes by the tensor's name.
        input: Name of the input.
        output: Name of the output.
    """

    def __init__(self, float_file: bytes) -> None:
        """Read a file.

        Raises:
            InputError: an operation that has no counterpart here.
        """
        self.model = read(float_file)
        graph = self.model.subgraphs[0]
        self._names = [name_of(tensor) for tensor in graph.tensors]
        self.constants = {
            name_of(tensor): constant(self.model, tensor, _DTYPES[tensor.type])
            for tensor in graph.tensors
            if is_constant(self.model, tensor) and tensor.type in _DTYPES
        }
        self.steps = tuple(map(self._step, graph.operators))
        self.input, self.output = self._names[graph.inputs[0]], self._names[graph.outputs[0]]
        missing = sorted({step.name for step in self.steps} - set(OPERATIONS))
        if missing:
            raise InputError(
                f"can't train through {', '.join(missing)}",
                where="this network",
                fix="quantize it without training",
            )

    def _step(self, operator: Any) -> Step:
        name = operation(self.model, operator)
        outputs = [int(i) for i in operator.outputs]
        inputs = [self._names[i] if i >= 0 else None for i in operator.inputs]
        if name in WEIGHTED:  # a place for the bias that integer layers have
            inputs += [None] * (WEIGHTED[name].bias + 1 - len(inputs))
        return Step(
            name=name,
            inputs=tuple(inputs),
            outputs=tuple(self._names[i] for i in outputs),
            shape=tuple(map(int, self.model.subgraphs[0].tensors[outputs[0]].shape)),
            operator=operator,
        )

    @property
    def scores(self) -> str:
        """Name of what a final softmax reads, or else of the output."""
        last = self.steps[-1]
        return last.inputs[0] or "" if last.name == "SOFTMAX" else self.output

    def __call__(
        self, inputs: Any, reads: Reads | None = None, writes: Writes | None = None
    ) -> dict[str, Any]:
        """Return every activation of a batch.

        Args:
            inputs: [N, H, W, C] float32.
            reads: Changes what an operation reads, constants too; None changes nothing.
            writes: Makes of what an operation computes what it writes, its fused activation
                too; None applies the activation.

        Returns:
            Tensors by their names, [N, ...] each.
        """
        values: dict[str, Any] = {self.input: inputs}
        for step in self.steps:
            operands = [
                self._operand(step, position, values, reads) for position in range(len(step.inputs))
            ]
            if step.name in PAIRWISE:
                rank = max(len(operand.shape) for operand in operands)
                operands = [
                    aligned(operand, rank) if name in values else operand
                    for name, operand in zip(step.inputs, operands, strict=True)
                ]
            options = step.operator.builtinOptions
            outputs = run_operation(step.name, Call(tuple(operands), options, step.shape))
            for name, value in zip(step.outputs, outputs, strict=True):
                done = writes(step, name, value, operands) if writes else activated(options, value)
                values[name] = done
        return values

    def _operand(
        self, step: Step, position: int, values: dict[str, Any], reads: Reads | None
    ) -> Any:
        name = step.inputs[position]
        value = None if name is None else values.get(name, self.constants.get(name))
        if isinstance(value, np.ndarray) and value.dtype != np.float32:
            return value
        if reads is not None:
            value = reads(step, position, value)
        return value if value is None else tf.convert_to_tensor(value)
