"""ONNX operations on integers: those that QDQ nodes make such, and those of the integer form."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

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


@dataclasses.dataclass(frozen=True)
class Operands:
    """Where an operation of the integer form has its tensors, among all its inputs.

    Attributes:
        tensors: Places of tensors that their scale and zero point follow.
        output: Place of the output's scale; its zero point follows.
        bias: Place of an int32 bias, whose scale is the product of the others'.
    """

    tensors: tuple[int, ...]
    output: int
    bias: int | None = None


# ONNX's own QLinearConv and QLinearMatMul; the others: onnxruntime, docs/ContribOperators.md.
_FORMS = {
    "QLinearConv": Operands((0, 3), 6, 8),
    "QGemm": Operands((0, 3), 7, 6),
    "QLinearMatMul": Operands((0, 3), 6),
    "QLinearAdd": Operands((0, 3), 6),
    "QLinearMul": Operands((0, 3), 6),
    "QLinearAveragePool": Operands((0,), 3),
    "QLinearGlobalAveragePool": Operands((0,), 3),
    "QLinearLeakyRelu": Operands((0,), 3),
    "QLinearSigmoid": Operands((0,), 3),
    "QLinearSoftmax": Operands((0,), 3),
}


def operands_of(name: str, inputs: Sequence[str]) -> Operands | None:
    """Return where an operation has its tensors; None for one that is not of the integer form."""
    if name == "QLinearConcat":
        return Operands(tuple(range(2, len(inputs), 3)), 0)
    form = _FORMS.get(name)
    if form is None or len(inputs) <= max((*form.tensors, form.output)) + 1:
        return None
    has_bias = form.bias is not None and len(inputs) > form.bias and inputs[form.bias]
    return form if has_bias else dataclasses.replace(form, bias=None)
