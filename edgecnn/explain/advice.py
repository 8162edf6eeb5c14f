"""What in a float network integers do badly, told before anything is quantized."""

from __future__ import annotations

from collections import Counter
from typing import Any

from edgecnn.quantize.tflite_graph import is_constant, operation, read
from edgecnn.quantize.tflite_operations import has_kernel, touches_floats


def advise(float_file: bytes) -> tuple[str, ...]:
    """Return one sentence for each construction that makes 8-bit integers lossy or slow.

    Args:
        float_file: A float32 TFLite file.
    """
    model = read(float_file)
    found = Counter[str]()
    for operator in model.subgraphs[0].operators:
        if kind := _construction(model, operator):
            found[kind] += 1
    told = [text.format(_times(found[kind])) for kind, text in _TOLD.items() if found[kind]]
    floats = Counter(
        operation(model, operator)
        for operator in model.subgraphs[0].operators
        if touches_floats(model, operator) and not has_kernel(model, operator)
    )
    if floats:
        names = ", ".join(sorted(floats))
        told.append(
            f"no integer kernel for {names} ({_times(floats.total())}): computed in float, with "
            "conversions around it"
        )
    return tuple(told)


_TOLD = {
    "squeeze": "squeeze-excitation ({}): one grid for all channels' factors; small ones lose "
    "most of their digits",
    "swish": "swish ({}): no upper end, and a dip below zero that needs steps; in int8 it is two "
    "operations with three grids",
    "hard-swish": "hard-swish ({}): no upper end, and a dip below zero that needs steps; XNNPACK "
    "has no fast int8 kernel for it, so that float may be faster",
    "concatenation": "concatenation ({}): all that is joined shares one grid, so the branch with "
    "the smallest values loses most",
}


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _construction(model: Any, operator: Any) -> str | None:
    kind = operation(model, operator)
    if kind == "MUL":
        return _product(model, operator)
    return {"HARD_SWISH": "hard-swish", "CONCATENATION": "concatenation"}.get(kind)


def _product(model: Any, operator: Any) -> str | None:
    tensors = model.subgraphs[0].tensors
    inputs = [int(i) for i in operator.inputs]
    if any(is_constant(model, tensors[i]) for i in inputs):
        return None
    if _is_swish(model, inputs):
        return "swish"
    sizes = [[*tensors[i].shape] for i in inputs]
    is_factor = [len(size) == 4 and size[1:3] == [1, 1] for size in sizes]
    return "squeeze" if any(is_factor) and not all(is_factor) else None


def _is_swish(model: Any, inputs: list[int]) -> bool:
    """Tell a product of a tensor and its own sigmoid."""
    makers = {int(i): o for o in model.subgraphs[0].operators for i in o.outputs}
    for first, second in (inputs, inputs[::-1]):
        maker = makers.get(second)
        if maker is not None and operation(model, maker) == "LOGISTIC":
            return int(maker.inputs[0]) == first
    return False
