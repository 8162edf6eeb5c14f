"""Names and field numbers of the TFLite schema, version 3: plain data.

Source: tensorflow/compiler/mlir/lite/schema/schema.fbs; the place in a tuple is the
number in a file.
"""

from __future__ import annotations

_OPERATORS = """
    ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE
    EMBEDDING_LOOKUP FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D
    LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1
    RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM
    CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND
    SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE
    BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM
    CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE
    SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW
    ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK
    REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR
    LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS
    WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE
    NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM
    BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG
    REAL COMPLEX_ABS HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL
    CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL
    BUCKETIZE RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1 UNSORTED_SEGMENT_PROD
    UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR
    RIGHT_SHIFT STABLEHLO_LOGISTIC STABLEHLO_ADD STABLEHLO_DIVIDE STABLEHLO_MULTIPLY
    STABLEHLO_MAXIMUM STABLEHLO_RESHAPE STABLEHLO_CLAMP STABLEHLO_CONCATENATE
    STABLEHLO_BROADCAST_IN_DIM STABLEHLO_CONVOLUTION STABLEHLO_SLICE STABLEHLO_CUSTOM_CALL
    STABLEHLO_REDUCE STABLEHLO_ABS STABLEHLO_AND STABLEHLO_COSINE STABLEHLO_EXPONENTIAL
    STABLEHLO_FLOOR STABLEHLO_LOG STABLEHLO_MINIMUM STABLEHLO_NEGATE STABLEHLO_OR STABLEHLO_POWER
    STABLEHLO_REMAINDER STABLEHLO_RSQRT STABLEHLO_SELECT STABLEHLO_SUBTRACT STABLEHLO_TANH
    STABLEHLO_SCATTER STABLEHLO_COMPARE STABLEHLO_CONVERT STABLEHLO_DYNAMIC_SLICE
    STABLEHLO_DYNAMIC_UPDATE_SLICE STABLEHLO_PAD STABLEHLO_IOTA STABLEHLO_DOT_GENERAL
    STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT STABLEHLO_WHILE STABLEHLO_GATHER STABLEHLO_TRANSPOSE
    DILATE STABLEHLO_RNG_BIT_GENERATOR REDUCE_WINDOW STABLEHLO_COMPOSITE STABLEHLO_SHIFT_LEFT
    STABLEHLO_CBRT STABLEHLO_CASE
"""
OPERATORS = tuple(_OPERATORS.split())

# Bits of one item; strings and handles have no fixed size.
DTYPES: tuple[tuple[str, int], ...] = (
    ("float32", 32),
    ("float16", 16),
    ("int32", 32),
    ("uint8", 8),
    ("int64", 64),
    ("string", 0),
    ("bool", 8),
    ("int16", 16),
    ("complex64", 64),
    ("int8", 8),
    ("float64", 64),
    ("complex128", 128),
    ("uint64", 64),
    ("resource", 0),
    ("variant", 0),
    ("uint32", 32),
    ("uint16", 16),
    ("int4", 4),
    ("bfloat16", 16),
    ("int2", 2),
    ("uint4", 4),
    ("float8_e4m3fn", 8),
    ("float8_e5m2", 8),
)

PADDINGS = ("SAME", "VALID")
ACTIVATIONS = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT")

# Option table's number -> field number -> (name, struct code or tuple of names, default).
Options = dict[int, tuple[str, str | tuple[str, ...], int]]
OPTIONS: dict[int, Options] = {
    # Conv2DOptions
    1: {
        0: ("padding", PADDINGS, 0),
        1: ("stride_w", "i", 0),
        2: ("stride_h", "i", 0),
        3: ("activation", ACTIVATIONS, 0),
        4: ("dilation_w", "i", 1),
        5: ("dilation_h", "i", 1),
    },
    # DepthwiseConv2DOptions
    2: {
        0: ("padding", PADDINGS, 0),
        1: ("stride_w", "i", 0),
        2: ("stride_h", "i", 0),
        3: ("depth_multiplier", "i", 0),
        4: ("activation", ACTIVATIONS, 0),
        5: ("dilation_w", "i", 1),
        6: ("dilation_h", "i", 1),
    },
    # Pool2DOptions
    5: {
        0: ("padding", PADDINGS, 0),
        1: ("stride_w", "i", 0),
        2: ("stride_h", "i", 0),
        3: ("filter_w", "i", 0),
        4: ("filter_h", "i", 0),
        5: ("activation", ACTIVATIONS, 0),
    },
    # FullyConnectedOptions, SoftmaxOptions, ConcatenationOptions
    8: {0: ("activation", ACTIVATIONS, 0), 2: ("keep_num_dims", "?", 0)},
    9: {0: ("beta", "f", 0)},
    10: {0: ("axis", "i", 0), 1: ("activation", ACTIVATIONS, 0)},
    # AddOptions, ResizeBilinearOptions, MulOptions, ReducerOptions, SubOptions, DivOptions
    11: {0: ("activation", ACTIVATIONS, 0)},
    15: {2: ("align_corners", "?", 0), 3: ("half_pixel_centers", "?", 0)},
    21: {0: ("activation", ACTIVATIONS, 0)},
    27: {0: ("keep_dims", "?", 0)},
    28: {0: ("activation", ACTIVATIONS, 0)},
    29: {0: ("activation", ACTIVATIONS, 0)},
    # TransposeConvOptions
    49: {
        0: ("padding", PADDINGS, 0),
        1: ("stride_w", "i", 0),
        2: ("stride_h", "i", 0),
        3: ("activation", ACTIVATIONS, 0),
    },
    # BatchMatMulOptions, Conv3DOptions
    101: {0: ("adj_x", "?", 0), 1: ("adj_y", "?", 0)},
    106: {
        0: ("padding", PADDINGS, 0),
        1: ("stride_d", "i", 0),
        2: ("stride_w", "i", 0),
        3: ("stride_h", "i", 0),
        4: ("activation", ACTIVATIONS, 0),
        5: ("dilation_d", "i", 1),
        6: ("dilation_w", "i", 1),
        7: ("dilation_h", "i", 1),
    },
    # ResizeNearestNeighborOptions, LeakyReluOptions
    74: {0: ("align_corners", "?", 0), 1: ("half_pixel_centers", "?", 0)},
    75: {0: ("alpha", "f", 0)},
}
