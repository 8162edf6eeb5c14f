"""What one operation of a file does: its window, its multiplications, how far it sees."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from edgecnn.core import receptive
from edgecnn.core.receptive import Field, Window
from edgecnn.runtime.tflite import Graph, Operator, Tensor


@dataclasses.dataclass(frozen=True)
class _Kind:
    """An operation that multiplies its input by a kernel.

    Attributes:
        weights: Place of the kernel among the inputs.
        channel: Axis of the kernel along which no product is summed.
        kernel: First axis of the kernel's window, and the axis behind its last one.
        spreads: Place of the data, where each of its values is multiplied with the whole
            kernel; None where each value of the output is a sum over it.
    """

    weights: int
    channel: int
    kernel: tuple[int, int | None] = (0, 0)
    spreads: int | None = None


_KINDS = {
    "CONV_2D": _Kind(1, 0, (1, 3)),
    "DEPTHWISE_CONV_2D": _Kind(1, 3, (1, 3)),
    "CONV_3D": _Kind(1, 4, (0, 3)),
    "TRANSPOSE_CONV": _Kind(1, 3, (1, 3), spreads=2),
    "CONV_3D_TRANSPOSE": _Kind(1, 4, (0, 3), spreads=2),
    "FULLY_CONNECTED": _Kind(1, 0),
    "Conv": _Kind(1, 0, (2, None)),
    "FusedConv": _Kind(1, 0, (2, None)),
    "ConvInteger": _Kind(1, 0, (2, None)),
    "QLinearConv": _Kind(1, 0, (2, None)),
    "ConvTranspose": _Kind(1, 0, (2, None), spreads=0),
}
# Products of two matrices, each of which may be weights -> the option that turns the first.
_PRODUCTS = {
    "BATCH_MATMUL": "adj_x",
    "MatMul": "",
    "MatMulInteger": "",
    "QLinearMatMul": "",
    "Gemm": "transA",
    "QGemm": "transA",
}
_GLOBAL_POOLS = frozenset(
    {"GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool", "QLinearGlobalAveragePool"}
)
# What moves the borders of a tensor, and no place's view.
_BORDERS = frozenset({"PAD", "PADV2", "MIRROR_PAD", "CONCATENATION", "SLICE", "STRIDED_SLICE"})
_ONNX_BORDERS = frozenset({"Pad", "Concat", "QLinearConcat", "Slice", "Split", "Crop"})
_RESHAPES = frozenset({"RESHAPE", "EXPAND_DIMS", "SQUEEZE"})
_ONNX_RESHAPES = frozenset({"Reshape", "Flatten", "Unsqueeze", "Squeeze"})
_REDUCTIONS = frozenset({"MEAN", "SUM", "REDUCE_MAX", "ReduceMean", "ReduceSum", "ReduceMax"})
_BLOCKS = {"SPACE_TO_BATCH_ND": True, "BATCH_TO_SPACE_ND": False}


def parameters_of(operator: Operator) -> tuple[int, ...]:
    """Return the places among the inputs that hold kernel and bias, whatever their size."""
    kind = _KINDS.get(operator.name)
    if kind is not None:
        return (kind.weights, kind.weights + (2 if kind.spreads == 2 else 1))
    return (1, 2) if operator.name in _PRODUCTS else ()


def data_of(operator: Operator) -> int:
    """Return the place among the inputs of what an operation with weights multiplies them with."""
    kind = _KINDS.get(operator.name)
    return kind.spreads or 0 if kind is not None else 0


def macs_of(graph: Graph, operator: Operator) -> int:
    """Return the multiply-accumulates of one inference: zeros of a border count as values."""
    if not operator.outputs:
        return 0
    output = graph.tensors[operator.outputs[0]]
    first = _input(graph, operator, 0)
    if operator.name in _PRODUCTS and first is not None:
        turned = operator.options.get(_PRODUCTS[operator.name])
        summed = first.shape[-2 if turned else -1 :][:1]
        return elements(output) * abs(summed[0]) if summed else 0
    kind = _KINDS.get(operator.name)
    weights = _input(graph, operator, kind.weights) if kind else None
    values = (
        output if kind is None or kind.spreads is None else _input(graph, operator, kind.spreads)
    )
    if kind is None or weights is None or values is None or len(weights.shape) <= kind.channel:
        return 0
    channels = weights.shape[kind.channel]
    return elements(values) * elements(weights) // channels if channels > 0 else 0


def window_of(graph: Graph, operator: Operator) -> Window | None:
    """Return the window of a convolution or pooling; None of other operations."""
    kernel = _kernel(graph, operator)
    if not kernel:
        return None
    ones = (1,) * len(kernel)
    stride = _numbers(operator, "stride", "strides") or ones
    dilation = _numbers(operator, "dilation", "dilations") or ones
    if not len(kernel) == len(stride) == len(dilation):
        return None
    return Window(
        kernel=kernel,
        stride=stride,
        dilation=dilation,
        padding=_padding(graph, operator),
    )


def field_of(graph: Graph, operator: Operator, inputs: Sequence[tuple[Field, Tensor]]) -> Field:
    """Return what one value of an operation's output sees of the image.

    Args:
        graph: Whose operation it is.
        operator: Of any kind; of an unknown one the least that fits its shapes.
        inputs: Field and tensor of each activation that it reads.
    """
    field = receptive.merged([field for field, _ in inputs])
    if not inputs or not operator.outputs:
        return field
    before = max((tensor for _, tensor in inputs), key=elements).shape
    after = graph.tensors[operator.outputs[0]].shape
    rank, window = len(before), window_of(graph, operator)
    first = _first_of_image(operator)
    if window is not None and rank == len(window.kernel) + 2:
        kind = _KINDS.get(operator.name)
        spreads = kind is not None and kind.spreads is not None
        follow = receptive.back_through if spreads else receptive.through
        return follow(field, window, range(first, first + len(window.kernel)))
    if operator.name in _PRODUCTS or operator.name == "FULLY_CONNECTED":
        return field if len(after) == rank else receptive.pooled(field, before, range(1, rank))
    if operator.name in _GLOBAL_POOLS:
        return receptive.reduced(field, before, after, range(first, first + rank - 2))
    return _placed(graph, operator, field, (before, after))


def _placed(
    graph: Graph, operator: Operator, field: Field, shapes: tuple[Sequence[int], Sequence[int]]
) -> Field:
    """Return the field behind an operation that moves, gathers or passes on what there is."""
    before, after = shapes
    name, numbers = operator.name, _axes(graph, operator)
    if name in _BORDERS | _ONNX_BORDERS:
        return field
    if name in _RESHAPES | _ONNX_RESHAPES:
        return receptive.reshaped(field, before, after)
    if name in ("TRANSPOSE", "Transpose"):
        return receptive.permuted(field, numbers or range(len(before))[::-1])
    if name in _BLOCKS:
        field = _in_blocks(field, numbers, gathers=_BLOCKS[name])
    elif len(after) < len(before) or name in _REDUCTIONS:
        field = receptive.reduced(field, before, after, numbers or range(1, len(before)))
    else:
        field = receptive.scaled(field, before, after)
    return field


def _in_blocks(field: Field, block: Sequence[int], *, gathers: bool) -> Field:
    """Return the field between the two ends of a dilated convolution in its old notation."""
    steps = Window(kernel=(1,) * len(block), stride=tuple(block), dilation=(1,) * len(block))
    follow = receptive.through if gathers else receptive.back_through
    return follow(field, steps, range(1, 1 + len(block)))


def elements(tensor: Tensor) -> int:
    """Return how many numbers a tensor holds; an unknown axis counts once."""
    return math.prod(map(abs, tensor.shape))


def _kernel(graph: Graph, operator: Operator) -> tuple[int, ...]:
    given = operator.options.get("kernel_shape")
    if isinstance(given, tuple):
        return given
    if "filter_h" in operator.options:
        return _numbers(operator, "filter", "")
    kind = _KINDS.get(operator.name)
    weights = _input(graph, operator, kind.weights) if kind else None
    return weights.shape[slice(*kind.kernel)] if kind and weights is not None else ()


def _numbers(operator: Operator, name: str, onnx_name: str) -> tuple[int, ...]:
    """Return an option along each axis, in the order of the tensor's axes."""
    given = operator.options.get(onnx_name)
    if isinstance(given, tuple):
        return given
    each = (operator.options.get(f"{name}_{axis}") for axis in "dhw")
    return tuple(int(number) for number in each if isinstance(number, int | float))


def _padding(graph: Graph, operator: Operator) -> str:
    given = operator.options.get("padding", operator.options.get("auto_pad", "NOTSET"))
    if given != "NOTSET":
        return str(given).lower().partition("_")[0]  # which side is wider is of no interest here
    pads = operator.options.get("pads")
    if not isinstance(pads, tuple) or not any(pads):
        return "valid"
    return "same" if _is_same(graph, operator, pads) else ",".join(map(str, pads))


def _is_same(graph: Graph, operator: Operator, pads: tuple[int, ...]) -> bool:
    """Tell whether a border is the one that "same" asks for: as even as it can be."""
    data = _input(graph, operator, 0)
    kernel, half = _kernel(graph, operator), len(pads) // 2
    if data is None or len(data.shape) != half + 2 or len(kernel) != half:
        return False
    strides = _numbers(operator, "stride", "strides") or (1,) * half
    dilations = _numbers(operator, "dilation", "dilations") or (1,) * half
    first = _first_of_image(operator)
    sides = zip(
        data.shape[first : first + half],
        kernel,
        strides,
        dilations,
        pads[:half],
        pads[half:],
        strict=False,
    )
    return operator.name != "ConvTranspose" and all(
        start + stop == _border(size, 1 + (k - 1) * dilation, max(stride, 1))
        and abs(start - stop) <= 1
        for size, k, stride, dilation, start, stop in sides
    )


def _border(size: int, reach: int, stride: int) -> int:
    """Return how many rows "same" adds, so that each stride begins a place of the output."""
    return max((-(-size // stride) - 1) * stride + reach - size, 0)


def _axes(graph: Graph, operator: Operator) -> tuple[int, ...]:
    """Return the axes, order or block of an operation: an option, or its second input."""
    for name in ("perm", "axes"):
        given = operator.options.get(name)
        if isinstance(given, tuple):
            return given
    second = _input(graph, operator, 1)
    return second.values if second is not None else ()


def _input(graph: Graph, operator: Operator, place: int) -> Tensor | None:
    if place >= len(operator.inputs) or operator.inputs[place] < 0:
        return None
    return graph.tensors[operator.inputs[place]]


def _first_of_image(operator: Operator) -> int:
    """Return the axis of an image's height: behind the channels, or before them."""
    is_onnx = not operator.name.isupper()
    return 2 if is_onnx and not operator.options.get("channels_last") else 1
