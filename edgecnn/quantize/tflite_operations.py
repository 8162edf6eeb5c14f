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
# The same for int16 activations, weights of 8 bits and biases of 64.
_WIDE_VERSIONS = {
    "ADD": 3,
    "AVERAGE_POOL_2D": 3,
    "BATCH_TO_SPACE_ND": 4,
    "CONCATENATION": 3,
    "CONV_2D": 4,
    "DEPTHWISE_CONV_2D": 5,
    "DEQUANTIZE": 3,
    "EXPAND_DIMS": 1,
    "FULLY_CONNECTED": 7,
    "LEAKY_RELU": 2,
    "LOGISTIC": 3,
    "MAXIMUM": 4,
    "MAX_POOL_2D": 3,
    "MEAN": 3,
    "MINIMUM": 4,
    "MIRROR_PAD": 3,
    "MUL": 4,
    "PACK": 3,
    "PAD": 3,
    "PADV2": 3,
    "QUANTIZE": 2,
    "REDUCE_MAX": 3,
    "RELU": 3,
    "RELU6": 3,
    "RESHAPE": 1,
    "RESIZE_BILINEAR": 4,
    "RESIZE_NEAREST_NEIGHBOR": 4,
    "SLICE": 4,
    "SOFTMAX": 3,
    "SPACE_TO_BATCH_ND": 4,
    "SPLIT": 4,
    "SQUEEZE": 1,
    "STRIDED_SLICE": 4,
    "SUB": 5,
    "TANH": 3,
    "TRANSPOSE": 5,
    "TRANSPOSE_CONV": 3,
    "UNPACK": 4,
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


# In 16 bits the grids of probabilities are the wide ones; that of tanh is twice as fine.
_WIDE_TANH = Grid(1 / 32768, 0, 16)


def widened(name: str, grid: Grid) -> Grid:
    """Return the int16 grid that an operation's kernel writes, given the one chosen for it."""
    return _WIDE_TANH if name == "TANH" else grid


def has_kernel(model: Any, operator: Any, *, bits: int = 8) -> bool:
    """Tell whether an operation has a kernel for int8, or int16, for the tensors it has here."""
    name = operation(model, operator)
    if name not in (_VERSIONS if bits == 8 else _WIDE_VERSIONS):
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
    """Give the codes of integer operations a version that has an int8 or int16 kernel.

    The converter's version stays where it is higher: it tells of other properties, as
    groups of a convolution or a fifth axis.
    """
    for operator in operators:
        if hasattr(operator.builtinOptions, "potScaleInt16"):
            operator.builtinOptions.potScaleInt16 = False  # scales of int16 are any number
        code = model.operatorCodes[operator.opcodeIndex]
        versions = _WIDE_VERSIONS if _is_wide(model, operator) else _VERSIONS
        code.version = max(code.version, versions.get(operation(model, operator), 1))


def _is_wide(model: Any, operator: Any) -> bool:
    tensors = model.subgraphs[0].tensors
    places = [i for i in (*operator.inputs, *operator.outputs) if i >= 0]
    return any(tensors[i].type == schema.TensorType.INT16 for i in places)
