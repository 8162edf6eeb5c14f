"""Reading an ONNX file into the same plain graph as a TFLite file; needs the onnx package.

Quantize and dequantize pairs (QDQ) are notation, not work: an operation between them is
read as one on integers, as a runtime executes it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgecnn.core.errors import InputError, MissingExtra, unknown
from edgecnn.runtime.onnx_integer import INTEGER_OPERATIONS, operands_of
from edgecnn.runtime.onnx_unpacking import find_unpacked
from edgecnn.runtime.tflite import MAX_TENSORS, MAX_VALUES, Graph, Operator, Options, Tensor

_QUANTIZING = ("QuantizeLinear", "DequantizeLinear")
# Kernels, strides, pads, axes: two numbers an axis at most.
_MAX_NUMBERS = 16
_WHOLE_NUMBERS = (6, 7)  # TensorProto.INT32, INT64
_OF_4_BITS = (21, 22)  # TensorProto.UINT4, INT4


def read(
    data: bytes, *, where: str | Path, shapes: Mapping[str, tuple[int, ...]] | None = None
) -> Graph:
    """Parse an ONNX file; weights kept in other files are left there.

    Args:
        data: The file.
        where: The file's name, for errors.
        shapes: Sizes of inputs that the file leaves open, by name. An open first axis of
            the others counts as a batch of one.

    Raises:
        InputError: not an ONNX model, a damaged one, or another number of axes than given.
        MissingExtra: the onnx package is not installed.
    """
    try:
        import onnx
        from onnx import shape_inference
    except ImportError:
        raise MissingExtra("reading ONNX files", "onnx") from None
    try:
        model = onnx.load_model_from_string(data)
        if len(model.graph.node) > MAX_TENSORS:
            raise ValueError(f"more than {MAX_TENSORS} operations")
        _refuse_circles(model.graph)
        batches = _open_batches(model.graph)
        _fix_inputs(model.graph, shapes or {}, where)
        inferred = shape_inference.infer_shapes(model, data_prop=True)
        return _Reader(inferred, batches - {*(shapes or {})}).graph(len(data))
    except InputError:
        raise
    # The package's errors have no common base but Exception.
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0][:200]
        raise InputError(
            f"a damaged ONNX model ({reason})", where=where, fix="export or download it again"
        ) from error


def _refuse_circles(graph: Any) -> None:
    """Refuse operations that read what only a later one makes: no order could run them."""
    computed = {name for node in graph.node for name in node.output if name}
    made: set[str] = set()
    for node in graph.node:
        if any(name in computed and name not in made for name in node.input):
            raise ValueError(f"{node.op_type} reads what only a later operation makes")
        made.update(node.output)


def _open_batches(graph: Any) -> set[str]:
    """Return the inputs and outputs whose number of images is left open."""
    ends = {value.name: value.type.tensor_type.shape.dim for value in (*graph.input, *graph.output)}
    return {name for name, axes in ends.items() if len(axes) > 1 and not axes[0].dim_value}


def _fix_inputs(graph: Any, shapes: Mapping[str, tuple[int, ...]], where: str | Path) -> None:
    """Write the given sizes into the inputs; a batch that is left open is one image."""
    constants = {tensor.name for tensor in graph.initializer}
    inputs = {value.name: value.type.tensor_type for value in graph.input}
    for name in shapes:
        if name not in inputs:
            raise unknown("input", name, inputs.keys() - constants, where=str(where))
    for name, kind in inputs.items():
        axes, given = kind.shape.dim, shapes.get(name)
        if given is not None and len(given) != len(axes) and kind.HasField("shape"):
            raise InputError(
                f"{len(given)} sizes for the {len(axes)} axes of {name!r}",
                where=where,
                fix="give as many",
            )
        if given is not None:
            kind.shape.ClearField("dim")
            for size in given:
                kind.shape.dim.add(dim_value=size)
        elif len(axes) > 1 and not axes[0].dim_value:
            axes[0].dim_value = 1


class _Reader:
    """Turns names into places: ONNX's graph speaks of tensors by name."""

    def __init__(self, model: Any, open_batches: set[str]) -> None:
        self._model = model
        self._source = model.graph
        self._constants = {tensor.name: tensor for tensor in self._source.initializer}
        for node in self._source.node:
            for attribute in node.attribute if node.op_type == "Constant" else ():
                if attribute.name == "value":
                    self._constants[node.output[0]] = attribute.t
        self._values = {
            value.name: value.type.tensor_type
            for value in (*self._source.value_info, *self._source.input, *self._source.output)
        }
        self._open_batches = open_batches
        self._scales: dict[str, tuple[tuple[float, ...], tuple[int, ...], int]] = {}
        self._unpacking = find_unpacked(self._source.node, self._constants)
        self._stand_ins = {**self._find_stand_ins(), **self._find_unpacked()}
        self._tensors: dict[str, Tensor] = {}
        self._places: dict[str, int] = {}

    def graph(self, size: int) -> Graph:
        """Return the plain graph."""
        operators = [
            self._operator(node)
            for node in self._source.node
            if node.op_type != "Constant" and not self._is_notation(node)
        ]
        inputs = [v.name for v in self._source.input if v.name not in self._constants]
        versions = {entry.domain: entry.version for entry in self._model.opset_import}
        places = tuple(map(self._place, inputs))
        outputs = tuple(self._place(value.name) for value in self._source.output)
        return Graph(
            description=f"{self._model.producer_name} {self._model.producer_version}".strip(),
            tensors=tuple(self._tensors.values()),
            operators=tuple(operators),
            inputs=places,
            outputs=outputs,
            opcodes={name: versions.get("", 0) for name in sorted({o.name for o in operators})},
            size=size,
        )

    def _find_stand_ins(self) -> dict[str, str]:
        """Return the integer tensor that stands for each float one between Q and DQ."""
        uses = Counter(name for node in self._source.node for name in set(node.input))
        ends = {value.name for value in (*self._source.input, *self._source.output)}
        in_float = self._touched_in_float()
        stand_ins = {}
        for node in self._source.node:
            self._take_grids(node)
            if node.op_type not in _QUANTIZING:
                continue
            before, after = node.input[0], node.output[0]
            integer = after if node.op_type == "QuantizeLinear" else before
            axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
            self._scales[integer] = self._quantization(node.input[1:3], axis)
            if (before if integer == after else after) in in_float:
                continue
            if node.op_type == "DequantizeLinear" and after not in ends:
                stand_ins[after] = before
            elif integer == after and uses[before] == 1 and before not in ends | set(stand_ins):
                stand_ins[before] = after
        return stand_ins

    def _find_unpacked(self) -> dict[str, str]:
        """Return the stored weights behind each tensor that only widens them."""
        for stored in self._unpacking.stored.values():
            if stored.scale:
                shape = self._constants[stored.scale].dims
                axis = next((i for i, size in enumerate(shape) if size > 1), 0)
                self._scales[stored.name] = self._quantization([stored.scale], axis)
        return {name: stored.name for name, stored in self._unpacking.stored.items()}

    def _touched_in_float(self) -> set[str]:
        """Return what operations without an integer kernel read and write: floats, really."""
        names: set[str] = set()
        for node in self._source.node:
            if node.op_type not in INTEGER_OPERATIONS and node.op_type not in _QUANTIZING:
                names.update(node.input, node.output)
        return names

    def _take_grids(self, node: Any) -> None:
        """Take the scales that a node of the integer form has among its inputs."""
        form = operands_of(node.op_type, node.input)
        if form is None:
            return
        axis = 1 if node.op_type == "QGemm" and not _options(node).get("transB") else 0
        for place in form.tensors:
            grid = self._quantization(node.input[place + 1 : place + 3], axis)
            self._scales[node.input[place]] = grid
        names = node.input[form.output : form.output + 2]
        self._scales[node.output[0]] = self._quantization(names, 0)
        if form.bias is not None:
            data, weights = (self._scales[node.input[place]][0] for place in form.tensors)
            scales = tuple(step * scale for step in data[:1] for scale in weights)
            self._scales[node.input[form.bias]] = scales, (0,) * len(scales), 0

    def _quantization(
        self, names: Sequence[str], axis: int
    ) -> tuple[tuple[float, ...], tuple[int, ...], int]:
        from onnx import numpy_helper

        numbers = [
            numpy_helper.to_array(self._constants[name]).reshape(-1).tolist()
            for name in names
            if name in self._constants
        ]
        scales = tuple(map(float, numbers[0])) if numbers else ()
        zero_points = tuple(map(int, numbers[1])) if len(numbers) > 1 else (0,) * len(scales)
        # One scale has no axis; of several the format's default is the second one.
        return scales, zero_points, axis if len(scales) > 1 else 0

    def _is_notation(self, node: Any) -> bool:
        if node.op_type not in _QUANTIZING:
            widened = {*self._unpacking.stored, *self._unpacking.steps}
            return not widened.isdisjoint(node.output)
        ends = node.input[0], node.output[0]
        return any(self._stand_ins.get(a) == b for a, b in (ends, ends[::-1]))

    def _operator(self, node: Any) -> Operator:
        # Scales and zero points among the inputs are settings.
        names = node.input[:1] if node.op_type in _QUANTIZING else node.input
        form = operands_of(node.op_type, node.input)
        if form is not None:
            bias = () if form.bias is None else (form.bias,)
            names = [node.input[place] for place in (*form.tensors, *bias)]
        return Operator(
            name=node.op_type,
            version=1,
            inputs=tuple(self._place(name) if name else -1 for name in names),
            outputs=tuple(self._place(name) for name in node.output if name),
            options=_options(node),
            node=node.name,
        )

    def _place(self, name: str) -> int:
        name = self._stand_ins.get(name, name)
        if name not in self._places:
            self._places[name] = len(self._tensors)
            self._tensors[name] = self._tensor(name)
        return self._places[name]

    def _tensor(self, name: str) -> Tensor:
        from onnx.helper import tensor_dtype_to_np_dtype

        constant, value = self._constants.get(name), self._values.get(name)
        shape: tuple[int, ...] = ()
        symbols: tuple[str, ...] = ()
        number = 0
        if constant is not None:
            shape, number = tuple(constant.dims), constant.data_type
        elif value is not None and value.HasField("shape"):
            shape = tuple(axis.dim_value or -1 for axis in value.shape.dim)
            symbols = tuple(axis.dim_param for axis in value.shape.dim)
            shape = (-1, *shape[1:]) if name in self._open_batches else shape
            number = value.elem_type
        dtype = tensor_dtype_to_np_dtype(number) if number else None
        scales, zero_points, axis = self._scales.get(name, ((), (), 0))
        return Tensor(
            name=name,
            shape=shape,
            dtype=dtype.name if dtype is not None else "unknown",
            is_constant=constant is not None,
            bytes=_bytes(math.prod(map(abs, shape)), number, dtype),
            scales=scales,
            zero_points=zero_points,
            quantized_dimension=axis % max(len(shape), 1),
            values=_values(constant) if constant is not None else (),
            symbols=symbols if any(symbols) else (),
        )


def _bytes(elements: int, number: int, dtype: Any) -> int:
    """Return what a tensor takes: two integers of 4 bits share a byte."""
    if number in _OF_4_BITS:
        return -(-elements // 2)
    return elements * dtype.itemsize if dtype is not None else 0


def _values(constant: Any) -> tuple[int, ...]:
    from onnx import numpy_helper

    is_short = constant.data_type in _WHOLE_NUMBERS and math.prod(constant.dims) <= MAX_VALUES
    is_here = not constant.external_data
    numbers = numpy_helper.to_array(constant) if is_short and is_here else None
    return () if numbers is None else tuple(map(int, numbers.reshape(-1)))


def _options(node: Any) -> Options:
    """Return a node's attributes that are numbers or words."""
    from onnx import AttributeProto, helper

    options: Options = {}
    for attribute in node.attribute:
        if attribute.type in (AttributeProto.INT, AttributeProto.FLOAT):
            options[attribute.name] = helper.get_attribute_value(attribute)
        elif attribute.type == AttributeProto.STRING:
            options[attribute.name] = attribute.s.decode("utf-8", "replace")
        elif attribute.type == AttributeProto.INTS and len(attribute.ints) <= _MAX_NUMBERS:
            options[attribute.name] = tuple(attribute.ints)
    return options
