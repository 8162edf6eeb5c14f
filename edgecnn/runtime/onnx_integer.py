"""Which ONNX operations are computed in integers where QDQ nodes surround them."""

from __future__ import annotations

INTEGER_OPERATIONS = frozenset(
    {
        "Add", "AveragePool", "Clip", "Concat", "Conv", "Expand", "Flatten", "Gather", "Gemm",
        "GlobalAveragePool", "LeakyRelu", "MatMul", "MaxPool", "Mul", "ReduceMax", "ReduceMin",
        "Relu", "Reshape", "Sigmoid", "Slice", "Softmax", "Split", "Squeeze", "Tile",
        "Transpose", "Unsqueeze", "Where",
    }
)  # fmt: skip
"""ONNX Runtime 1.31 on CPUs: core/optimizer/qdq_transformer/selectors_actions. Relu and Clip
vanish into the grid of their output. All others run in float, whatever surrounds them."""
