"""What a file asks of a machine: each operation's multiplications, and the numbers it moves."""

from __future__ import annotations

import dataclasses
import typing
from typing import Literal, TypeAlias

from edgecnn.runtime import arena
from edgecnn.runtime.operations import elements, macs_of, window_of
from edgecnn.runtime.tflite import Graph, Operator, Tensor

Kind: TypeAlias = Literal["spatial", "pointwise", "depthwise", "dense", "other"]
"""Convolutions by their window, fully connected layers, and what only moves numbers."""

Dtype: TypeAlias = Literal["float32", "int8"]
"""What an operation computes in."""

KINDS: tuple[Kind, ...] = typing.get_args(Kind)
BYTES: dict[Dtype, int] = {"float32": 4, "int8": 1}

# They change how a tensor is read, not its content; runtimes do them without a copy.
_FREE = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS"})
_MATRICES = frozenset({"FULLY_CONNECTED", "BATCH_MATMUL"})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Work:
    """One operation's part of an inference.

    Attributes:
        kind: What its time depends on.
        macs: Multiply-accumulates.
        moved: Numbers that it reads and writes once: activations, weights, output.
        dtype: What it computes in; a weight of 8 bits under float activations counts as int8.
    """

    kind: Kind
    macs: int
    moved: int
    dtype: Dtype = "float32"


def work_of(graph: Graph) -> tuple[Work, ...]:
    """Return what each operation of a TFLite file does, in the order of execution."""
    return tuple(
        _work(graph, operator)
        for step, operator in enumerate(graph.operators)
        if not arena.is_unpacking(graph, step) and operator.name not in _FREE
    )


def _work(graph: Graph, operator: Operator) -> Work:
    tensors = [graph.tensors[p] for p in (*operator.inputs, *operator.outputs) if p >= 0]
    return Work(
        kind=_kind(graph, operator),
        macs=macs_of(graph, operator),
        moved=sum(elements(tensor) for tensor in tensors),
        dtype="int8" if any(_is_integer(tensor) for tensor in tensors) else "float32",
    )


def _is_integer(tensor: Tensor) -> bool:
    return tensor.dtype in ("int8", "uint8") and bool(tensor.scales)


def _kind(graph: Graph, operator: Operator) -> Kind:
    if operator.name == "DEPTHWISE_CONV_2D":
        return "depthwise"
    if operator.name in _MATRICES:
        return "dense"
    window = window_of(graph, operator) if macs_of(graph, operator) else None
    if window is None:
        return "other"
    return "pointwise" if max(window.kernel) == 1 else "spatial"
