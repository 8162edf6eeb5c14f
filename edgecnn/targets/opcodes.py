"""Which versions of which operations a runtime has: measured, not read.

`tools/opcode_versions.py` asks a runtime for each version of each operation, and this is what
the releases below answered. A release between two of them has at least what the earlier has.
"""

from __future__ import annotations

import re


def _read(text: str) -> dict[str, int]:
    return {name: int(number) for name, _, number in (w.partition(":") for w in text.split())}


# Operation to its newest version.
_TFLITE_RUNTIME_2_14_0 = _read("""
    ADD:5 AVERAGE_POOL_2D:3 CONCATENATION:4 CONV_2D:7 DEPTHWISE_CONV_2D:7 DEPTH_TO_SPACE:2
    DEQUANTIZE:5 EMBEDDING_LOOKUP:3 FLOOR:1 FULLY_CONNECTED:10 HASHTABLE_LOOKUP:1
    L2_NORMALIZATION:2 L2_POOL_2D:1 LOCAL_RESPONSE_NORMALIZATION:1 LOGISTIC:3 LSH_PROJECTION:1
    LSTM:4 MAX_POOL_2D:3 MUL:7 RELU:3 RELU_N1_TO_1:1 RELU6:3 RESHAPE:1 RESIZE_BILINEAR:4 RNN:3
    SOFTMAX:3 SPACE_TO_DEPTH:2 SVDF:4 TANH:3 SKIP_GRAM:1 EMBEDDING_LOOKUP_SPARSE:1 PAD:4
    UNIDIRECTIONAL_SEQUENCE_RNN:3 GATHER:6 BATCH_TO_SPACE_ND:4 SPACE_TO_BATCH_ND:4 TRANSPOSE:6
    MEAN:3 SUB:5 DIV:2 SQUEEZE:2 UNIDIRECTIONAL_SEQUENCE_LSTM:4 STRIDED_SLICE:8
    BIDIRECTIONAL_SEQUENCE_RNN:3 EXP:2 TOPK_V2:3 SPLIT:4 LOG_SOFTMAX:2
    BIDIRECTIONAL_SEQUENCE_LSTM:3 CAST:5 PRELU:1 MAXIMUM:4 ARG_MAX:3 MINIMUM:4 LESS:3 NEG:1
    PADV2:4 GREATER:2 GREATER_EQUAL:3 LESS_EQUAL:2 SELECT:4 SLICE:6 SIN:1 TRANSPOSE_CONV:4
    SPARSE_TO_DENSE:3 TILE:3 EXPAND_DIMS:1 EQUAL:4 NOT_EQUAL:3 LOG:1 SUM:2 SQRT:1 RSQRT:2 SHAPE:1
    POW:1 ARG_MIN:3 FAKE_QUANT:2 REDUCE_PROD:2 REDUCE_MAX:3 PACK:4 LOGICAL_OR:1 ONE_HOT:1
    LOGICAL_AND:1 LOGICAL_NOT:1 UNPACK:4 REDUCE_MIN:3 FLOOR_DIV:3 REDUCE_ANY:1 SQUARE:1
    ZEROS_LIKE:1 FILL:4 FLOOR_MOD:2 RANGE:2 RESIZE_NEAREST_NEIGHBOR:4 LEAKY_RELU:2
    SQUARED_DIFFERENCE:2 MIRROR_PAD:3 ABS:5 SPLIT_V:2 UNIQUE:1 CEIL:1 REVERSE_V2:3 ADD_N:1
    GATHER_ND:4 COS:1 WHERE:2 RANK:1 ELU:1 REVERSE_SEQUENCE:1 MATRIX_DIAG:1 QUANTIZE:3
    MATRIX_SET_DIAG:1 ROUND:1 HARD_SWISH:1 IF:1 WHILE:1 NON_MAX_SUPPRESSION_V4:1
    NON_MAX_SUPPRESSION_V5:1 SCATTER_ND:1 SELECT_V2:2 DENSIFY:1 SEGMENT_SUM:1 BATCH_MATMUL:4
    CUMSUM:1 CALL_ONCE:1 BROADCAST_TO:3 RFFT2D:1 CONV_3D:1 IMAG:1 REAL:1 COMPLEX_ABS:1 HASHTABLE:1
    HASHTABLE_FIND:1 HASHTABLE_IMPORT:1 HASHTABLE_SIZE:1 REDUCE_ALL:1 CONV_3D_TRANSPOSE:1
    VAR_HANDLE:1 READ_VARIABLE:1 ASSIGN_VARIABLE:1 BROADCAST_ARGS:1 RANDOM_STANDARD_NORMAL:1
    BUCKETIZE:1 RANDOM_UNIFORM:1 MULTINOMIAL:1 GELU:2 DYNAMIC_UPDATE_SLICE:1 RELU_0_TO_1:1
    UNSORTED_SEGMENT_PROD:1 UNSORTED_SEGMENT_MAX:1 UNSORTED_SEGMENT_SUM:1 ATAN2:1
    UNSORTED_SEGMENT_MIN:1 SIGN:2 BITCAST:1 BITWISE_XOR:1 RIGHT_SHIFT:1
""")
# Only what differs from the one above.
_LITERT_2_1_0 = _TFLITE_RUNTIME_2_14_0 | _read("""
    CONV_2D:8 DEQUANTIZE:7 EMBEDDING_LOOKUP:4 FULLY_CONNECTED:14 PAD:5 GATHER:7 TRANSPOSE:7 CAST:8
    PADV2:5 SLICE:7 TRANSPOSE_CONV:5 EQUAL:5 NOT_EQUAL:4 LOG:2 SQRT:2 RSQRT:3 GATHER_ND:5
    QUANTIZE:4 DYNAMIC_UPDATE_SLICE:4 STABLEHLO_ADD:1 STABLEHLO_MULTIPLY:1 STABLEHLO_MAXIMUM:1
    STABLEHLO_AND:1 STABLEHLO_MINIMUM:1 STABLEHLO_SCATTER:1 STABLEHLO_PAD:1
    STABLEHLO_REDUCE_WINDOW:1 STABLEHLO_GATHER:1 DILATE:1 STABLEHLO_RNG_BIT_GENERATOR:1
    REDUCE_WINDOW:1 STABLEHLO_COMPOSITE:1 STABLEHLO_SHIFT_LEFT:1 STABLEHLO_CASE:1
""")
_LITERT_2_3_0 = _LITERT_2_1_0 | _read("""
    ADD:6 CONCATENATION:7 DEQUANTIZE:9 EMBEDDING_LOOKUP:5 MUL:8 SOFTMAX:4 PAD:6 GATHER:8
    TRANSPOSE:9 SPLIT:5 CAST:9 PADV2:6 SLICE:8 SIN:2 PACK:5 UNPACK:6 FILL:5 SPLIT_V:3 REVERSE_V2:4
    GATHER_ND:6 COS:2 QUANTIZE:6 BROADCAST_TO:4 GELU:3 DYNAMIC_UPDATE_SLICE:6
""")
_OPERATIONS: dict[str, dict[tuple[int, ...], dict[str, int]]] = {
    "tflite-runtime": {(2, 14, 0): _TFLITE_RUNTIME_2_14_0},
    "litert": {(2, 1, 0): _LITERT_2_1_0, (2, 3, 0): _LITERT_2_3_0},
}
# ONNX Runtime's release to the newest opset that it loads.
_OPSETS: dict[tuple[int, ...], int] = {
    (1, 17, 3): 20,
    (1, 18, 1): 21,
    (1, 19, 2): 21,
    (1, 20, 1): 21,
    (1, 21, 1): 22,
    (1, 22, 1): 22,
    (1, 23, 2): 23,
    (1, 31, 1): 26,
}


def newest_version(runtime: str, version: str, operation: str) -> int | None:
    """Return the newest version of a TFLite operation that a runtime has; 0: it has none.

    None where that release is older than those that were asked.
    """
    known = _OPERATIONS.get(runtime, {})
    release = _newest(list(known), version)
    return None if release is None else known[release].get(operation, 0)


def newest_opset(version: str) -> int | None:
    """Return the newest opset that a release of ONNX Runtime loads; None as above."""
    release = _newest(list(_OPSETS), version)
    return None if release is None else _OPSETS[release]


def _newest(releases: list[tuple[int, ...]], version: str) -> tuple[int, ...] | None:
    """Return the newest release that was asked and is not newer than a version."""
    number = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    return max((release for release in releases if release <= number), default=None)
