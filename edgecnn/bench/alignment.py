"""Which operation of a file each kernel of a delegate computes: both are in the same order.

XNNPACK names its kernels, not the operations that they stand for. It drops some operations
(fused, folded) and adds kernels (a reshape, a conversion); what is left is told apart by kind.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

MAX_OPERATIONS = 1500
"""The table of all pairs has its square: above this no kernel is given to an operation."""

# Kernels that don't bear the name of the operation that they compute, from XNNPACK's list.
_COMPUTES = {
    "convolution": ("CONV_2D", "DEPTHWISE_CONV_2D"),
    "fullyconnected": ("FULLY_CONNECTED", "CONV_2D", "BATCH_MATMUL"),
    "batchmatrixmultiply": ("BATCH_MATMUL", "FULLY_CONNECTED"),
    "deconvolution": ("TRANSPOSE_CONV",),
    "subtract": ("SUB",),
    "multiply": ("MUL",),
    "divide": ("DIV",),
    "sigmoid": ("LOGISTIC",),
    "clamp": ("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1"),
    "globalaveragepooling": ("MEAN", "AVERAGE_POOL_2D"),
    "averagepooling": ("AVERAGE_POOL_2D", "MEAN"),
    "maxpooling": ("MAX_POOL_2D",),
    "constantpad": ("PAD", "PADV2"),
    "copy": ("CONCATENATION", "RESHAPE", "SPLIT", "SLICE", "STRIDED_SLICE", "PACK"),
    "concatenate": ("CONCATENATION",),
    "evensplit": ("SPLIT",),
    "slice": ("SLICE", "STRIDED_SLICE"),
    "staticreshape": ("RESHAPE", "SQUEEZE", "EXPAND_DIMS"),
    "reshape": ("RESHAPE", "SQUEEZE", "EXPAND_DIMS"),
    "convert": ("QUANTIZE", "DEQUANTIZE", "CAST"),
    "negate": ("NEG",),
    "squareroot": ("SQRT",),
    "reciprocalsquareroot": ("RSQRT",),
    "ceiling": ("CEIL",),
    "bankersrounding": ("ROUND",),
}
# Kernels that prepare what the next one reads; others belong to the operation before them.
_PREPARING = frozenset({"convert", "constantpad", "transpose"})
_EXACT, _ALIKE = 4, 3
_LEFT_OUT = -1


def align(kernels: Sequence[str], operations: Sequence[str]) -> list[int | None]:
    """Return, for each kernel, the place of the operation that it belongs to.

    Args:
        kernels: As XNNPACK names them: "Convolution (NHWC, F32) DWConv".
        operations: As the file names them, in its order: "DEPTHWISE_CONV_2D".

    Returns:
        Of the orders in which both could have been written, the likeliest: as many pairs of
        one kind as can be. A kernel without an operation of its own goes to that of a
        neighbour; None where nothing fits at all.
    """
    if max(len(kernels), len(operations)) > MAX_OPERATIONS:
        return [None] * len(kernels)
    own = _pairs(kernels, operations)
    return [_place(own, at, kernels) for at in range(len(kernels))]


def _pairs(kernels: Sequence[str], operations: Sequence[str]) -> list[int | None]:
    """Return the best pairs in order, by dynamic programming from the end."""
    rows, columns = len(kernels), len(operations)
    best = [[0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows, -1, -1):
        for j in range(columns, -1, -1):
            if i < rows or j < columns:
                best[i][j] = _best(best, i, j, _likeness_at(kernels, operations, i, j))
    own: list[int | None] = [None] * rows
    i = j = 0
    while i < rows and j < columns:
        likeness = likeness_of(kernels[i], operations[j])
        if likeness and best[i][j] == likeness + best[i + 1][j + 1]:
            own[i] = j
            i, j = i + 1, j + 1
        elif best[i][j] == best[i][j + 1] + _LEFT_OUT:
            j += 1
        else:
            i += 1
    return own


def _likeness_at(kernels: Sequence[str], operations: Sequence[str], i: int, j: int) -> int:
    if i == len(kernels) or j == len(operations):
        return 0
    return likeness_of(kernels[i], operations[j])


def _best(best: list[list[int]], i: int, j: int, likeness: int) -> int:
    choices = []
    if i + 1 < len(best):
        choices.append(best[i + 1][j] + _LEFT_OUT)
    if j + 1 < len(best[0]):
        choices.append(best[i][j + 1] + _LEFT_OUT)
    if likeness:
        choices.append(likeness + best[i + 1][j + 1])
    return max(choices)


def likeness_of(kernel: str, operation: str) -> int:
    """Return how well a kernel's kind fits an operation: 0 where it can't compute it."""
    kind = _kind(kernel)
    if kind == "convolution" and "dwconv" in kernel.lower():
        return _EXACT if operation == "DEPTHWISE_CONV_2D" else 0
    if kind == operation.replace("_", "").lower():
        return _EXACT
    computes = _COMPUTES.get(kind, ())
    return _ALIKE if operation in computes else 0


def _kind(kernel: str) -> str:
    return re.sub(r"[^a-z0-9]", "", kernel.partition("(")[0].lower())


def _place(own: Sequence[int | None], at: int, kernels: Sequence[str]) -> int | None:
    if own[at] is not None:
        return own[at]
    before = next((place for place in reversed(own[:at]) if place is not None), None)
    behind = next((place for place in own[at + 1 :] if place is not None), None)
    first, second = (behind, before) if _kind(kernels[at]) in _PREPARING else (before, behind)
    return second if first is None else first
