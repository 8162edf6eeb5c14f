"""What TFLite's int8 kernels ask of each operation: its version, grids and weights.

Source: TensorFlow 2.21, lite/tools/versioning/op_version.cc for the versions; TFLite's
8-bit quantization specification and the kernels' own checks for the grids.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from edgecnn.quantize.grid import PROBABILITY, SIGNED_UNIT, Grid
from edgecnn.quantize.tflite_graph import is_constant, operation

# Operation to the first version with an int8 kernel.
_VERSIONS = {
    "ADD": 2,
    "AVERAGE_POOL_2D": 2,
    "BATCH_TO_SPACE_ND": 2,
    "CONCATENATION": 2,
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "DEQUANTIZE": 2,
    "ELU": 1,
    "EXPAND_DIMS": 1,
    "FULLY_CONNECTED": 4,
    "HARD_SWISH": 1,
    "LEAKY_RELU": 1,
    "LOGISTIC": 2,
    "MAXIMUM": 2,
    "MAX_POOL_2D": 2,
    "MEAN": 2,
    "MINIMUM": 2,
    "MIRROR_PAD": 2,
    "MUL": 2,
    "PACK": 2,
    "PAD": 2,
    "PADV2": 2,
    "PRELU": 1,
    "QUANTIZE": 1,
    "REDUCE_MAX": 2,
    "RELU": 2,
    "RELU6": 2,
    "RESHAPE": 1,
    "RESIZE_BILINEAR": 2,
    "RESIZE_NEAREST_NEIGHBOR": 2,
    "SLICE": 2,
    "SOFTMAX": 2,
    "SPACE_TO_BATCH_ND": 2,
    "SPLIT": 2,
    "SQUEEZE": 1,
    "STRIDED_SLICE": 2,
    "SUB": 2,
    "TANH": 2,
    "TILE": 3,
    "TRANSPOSE": 2,
    "TRANSPOSE_CONV": 3,  # with a bias
    "UNPACK": 2,
}
# The kernels of these move or choose integers as they are: one grid for input and output.
SAME_GRID = frozenset(
    {
        "AVERAGE_POOL_2D", "BATCH_TO_SPACE_ND", "EXPAND_DIMS", "MAX_POOL_2D", "MIRROR_PAD", "PAD",
        "PADV2", "REDUCE_MAX", "RESHAPE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "SLICE",
        "SPACE_TO_BATCH_ND", "SPLIT", "SQUEEZE", "STRIDED_SLICE", "TILE", "TRANSPOSE", "UNPACK",
    }
)  # fmt: skip
JOINING = frozenset({"CONCATENATION", "MAXIMUM", "MINIMUM", "PACK"})
"""These bring several tensors onto one grid; one that can't be written there is converted."""

FIXED_GRID: dict[str, Grid] = {
    "LOGISTIC": PROBABILITY,
    "SOFTMAX": PROBABILITY,
    "TANH": SIGNED_UNIT,
}


@dataclasses.dataclass(frozen=True)
class Weighted:
    """Where an operation with weights keeps its input, its weights and its bias.

    Attributes:
        axis: The channels' axis of the weights; None is one scale for all of them.
    """

    axis: int | None
    data: int = 0
    weights: int = 1
    bias: int = 2


WEIGHTED = {
    "CONV_2D": Weighted(axis=0),
    "DEPTHWISE_CONV_2D": Weighted(axis=3),
    # Per-channel dense weights need a runtime newer than many boards have.
    "FULLY_CONNECTED": Weighted(axis=None),
    "TRANSPOSE_CONV": Weighted(axis=0, data=2, bias=3),
}


def has_kernel(model: Any, operator: Any) -> bool:
    """Tell whether an operation has an int8 kernel for the tensors that it has here."""
    name = operation(model, operator)
    if name not in _VERSIONS:
        return False
    tensors = model.subgraphs[0].tensors
    if name in WEIGHTED:
        return is_constant(model, tensors[operator.inputs[WEIGHTED[name].weights]])
    return True


def touches_floats(model: Any, operator: Any) -> bool:
    """Tell whether an operation reads or writes floats; arithmetic on shapes doesn't."""
    tensors = model.subgraphs[0].tensors
    places = [i for i in (*operator.inputs, *operator.outputs) if i >= 0]
    return any(tensors[i].type == schema.TensorType.FLOAT32 for i in places)


def raise_versions(model: Any, operators: list[Any]) -> None:
    """Give the codes of integer operations a version that has an int8 kernel.

    The converter's version stays where it is higher: it tells of other properties, as
    groups of a convolution or a fifth axis.
    """
    for operator in operators:
        code = model.operatorCodes[operator.opcodeIndex]
        code.version = max(code.version, _VERSIONS.get(operation(model, operator), 1))
