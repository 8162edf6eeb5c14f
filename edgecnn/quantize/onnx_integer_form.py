"""An integer QDQ file to the integer-only form: operations on integers, no notation between.

QDQ writes an integer operation as a float one between DequantizeLinear and QuantizeLinear,
which a runtime has to recognize. Here each such group becomes the one operation that it
means (QLinearConv, QGemm, QLinearAdd, ...), with the same scales and integers. Nothing in
it depends on the CPU at hand, unlike in a graph that a runtime has optimized and saved.

Source: ONNX operators QLinearConv and QLinearMatMul; those of the domain com.microsoft as
in onnxruntime's docs/ContribOperators.md.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper, shape_inference

from edgecnn.convert.onnx_layout import leading_to
from edgecnn.quantize.onnx_graph import attribute

_MICROSOFT = "com.microsoft"
_STANDARD = ("QLinearConv", "QLinearMatMul")  # the others are of that domain
# Between the input's grid and the output's: X, its grid, then Y's grid.
_UNARY = {
    "AveragePool": "QLinearAveragePool",
    "GlobalAveragePool": "QLinearGlobalAveragePool",
    "LeakyRelu": "QLinearLeakyRelu",
    "Sigmoid": "QLinearSigmoid",
    "Softmax": "QLinearSoftmax",
}
# A and its grid, B and its grid, then the output's.
_BINARY = {"Add": "QLinearAdd", "MatMul": "QLinearMatMul", "Mul": "QLinearMul"}
# They choose or move numbers: of integers as of floats, as long as the grid stays.
_MOVING = {
    "Expand", "Flatten", "Gather", "MaxPool", "ReduceMax", "ReduceMin", "Reshape", "Slice",
    "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze",
}  # fmt: skip
_NOTATION = ("QuantizeLinear", "DequantizeLinear")


@dataclasses.dataclass(frozen=True)
class _Integers:
    """Where the integers of a tensor are, and the names of their scale and zero point."""

    name: str
    scale: str
    point: str

    def __iter__(self) -> Iterator[str]:
        return iter((self.name, self.scale, self.point))

    @property
    def grid(self) -> tuple[str, str]:
        """Scale and zero point."""
        return self.scale, self.point


def integer_form(qdq_file: bytes) -> bytes:
    """Return the file with each group of QDQ nodes as the one operation that it stands for.

    What has no such operation stays in float between its own conversions, and so do
    conversions at the file's two ends where these are not uint8.

    Args:
        qdq_file: As `edgecnn.quantize.onnx.quantize` writes it.
    """
    model = onnx.load_from_string(qdq_file)
    model = shape_inference.infer_shapes(model, data_prop=True)
    _Rewriting(model.graph).rewrite()
    if not any(entry.domain == _MICROSOFT for entry in model.opset_import):
        model.opset_import.append(helper.make_opsetid(_MICROSOFT, 1))
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


class _Rewriting:
    """One graph, node by node."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.ends = {value.name for value in (*graph.input, *graph.output)}
        readers = Counter(name for node in graph.node for name in set(node.input))
        self.read: dict[str, _Integers] = {}  # float tensor -> the integers that it stands for
        self.written: dict[str, _Integers] = {}  # float tensor -> the integers that it becomes
        for node in graph.node:
            if node.op_type == "DequantizeLinear":
                self.read[node.output[0]] = _Integers(*node.input)
            elif node.op_type == "QuantizeLinear" and self._is_inner(node.input[0], readers):
                self.written[node.input[0]] = _Integers(node.output[0], *node.input[1:])
        self.nodes: list[Any] = []

    def _is_inner(self, name: str, readers: Counter[str]) -> bool:
        return readers[name] == 1 and name not in self.ends and name not in self.read

    def rewrite(self) -> None:
        """Rebuild the graph in place."""
        replaced: set[str] = set()
        for node in self.graph.node:
            if node.op_type == "QuantizeLinear" and node.output[0] in replaced:
                continue
            form = self._form(node)
            self.nodes.append(form or node)
            if form is not None:
                replaced.update(form.output)
        nodes = leading_to({value.name for value in self.graph.output}, self.nodes)
        del self.graph.node[:]
        self.graph.node.extend(nodes)
        self._keep(self.graph.initializer, {name for node in nodes for name in node.input})
        self._keep(self.graph.value_info, {name for node in nodes for name in node.output})

    @staticmethod
    def _keep(entries: Any, names: Iterable[str]) -> None:
        wanted = set(names)
        kept = [entry for entry in entries if entry.name in wanted]
        del entries[:]
        entries.extend(kept)

    def _form(self, node: Any) -> Any:
        """Return the integer operation that a float node between QDQ stands for, or None."""
        sources = [self.read[name] for name in node.input if name in self.read]
        targets = [self.written[name] for name in node.output if name in self.written]
        is_between = sources and len(targets) == len(node.output)
        if node.op_type in _NOTATION or not is_between or any(map(self._is_float, node.input)):
            return None
        if node.op_type in ("Conv", "Gemm"):
            return self._layer(node, sources, targets[0])
        if node.op_type in ("Relu", "Clip"):
            return self._clipping(node, sources[0], targets[0])
        if node.op_type in _MOVING:
            return self._moving(node, sources[0], targets)
        return self._computing(node, sources, targets[0])

    def _is_float(self, name: str) -> bool:
        """Tell an input that is neither integers nor a setting."""
        constant = self.constants.get(name)
        return bool(name) and name not in self.read and constant is None

    def _layer(self, node: Any, sources: list[_Integers], target: _Integers) -> Any:
        data, weights, *bias = sources
        sums = [integers.name for integers in bias]
        if node.op_type == "Conv":
            inputs = [*data, *weights, *target.grid, *sums]
            return self._node("QLinearConv", inputs, target, node)
        if attribute(node, "beta", 1.0) != 1.0:
            return None
        inputs = [*data, *weights, *(sums or [""]), *target.grid]
        return self._node("QGemm", inputs, target, node, without=("beta",))

    def _computing(self, node: Any, sources: list[_Integers], target: _Integers) -> Any:
        flat = [part for source in sources for part in source]
        if node.op_type in _UNARY:
            # Softmax has to be told which definition it follows: that of operator set 13.
            more = {"opset": 13} if node.op_type == "Softmax" else {}
            inputs = [*flat, *target.grid]
            return self._node(_UNARY[node.op_type], inputs, target, node, more=more)
        if node.op_type in _BINARY and len(sources) == 2:
            return self._node(_BINARY[node.op_type], [*flat, *target.grid], target, node)
        if node.op_type == "Concat":
            return self._node("QLinearConcat", [*target.grid, *flat], target, node)
        return None

    def _moving(self, node: Any, source: _Integers, targets: list[_Integers]) -> Any:
        if any(self._grid(target) != self._grid(source) for target in targets):
            return None
        inputs = [self.read[name].name if name in self.read else name for name in node.input]
        names = [target.name for target in targets]
        form = helper.make_node(node.op_type, inputs, names, node.name)
        form.attribute.extend(node.attribute)
        return form

    def _clipping(self, node: Any, source: _Integers, target: _Integers) -> Any:
        """Write ReLU as the leaky one of slope 0, which also goes from one grid to another.

        An upper bound needs no work where the output's grid ends there.
        """
        lowest, highest = 0.0, np.inf
        if node.op_type == "Clip":
            lowest, highest = self._bound(node, 1, -np.inf), self._bound(node, 2, np.inf)
        scale, point = self._grid(target)
        if lowest != 0 or scale * (255 - point) > highest + scale / 2:
            return None
        inputs = [*source, *target.grid]
        return self._node("QLinearLeakyRelu", inputs, target, None, more={"alpha": 0.0})

    def _bound(self, node: Any, position: int, default: float) -> float:
        name = node.input[position] if len(node.input) > position else ""
        return self._number(name) if name else default

    def _number(self, name: str) -> float:
        return float(numpy_helper.to_array(self.constants[name]).item())

    def _grid(self, integers: _Integers) -> tuple[float, float]:
        return self._number(integers.scale), self._number(integers.point)

    def _node(
        self,
        name: str,
        inputs: list[str],
        target: _Integers,
        like: Any,
        *,
        without: tuple[str, ...] = (),
        more: Mapping[str, float] | None = None,
    ) -> Any:
        """Return a node that writes a tensor's integers, with the attributes of its model."""
        domain = "" if name in _STANDARD else _MICROSOFT
        form = helper.make_node(
            name, inputs, [target.name], target.name, domain=domain, **(more or {})
        )
        if like is not None:
            form.attribute.extend(a for a in like.attribute if a.name not in without)
        return form
