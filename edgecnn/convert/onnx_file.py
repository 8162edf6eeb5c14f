"""An ONNX file that somebody else made, as TensorFlow's operations.

The file is parsed and checked here (no data in other files, no operations of other domains,
bounded sizes), then translated node by node while TensorFlow traces. What is translated is
compared with ONNX Runtime's answers before anybody trusts it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
import onnx.inliner
import onnxruntime
import tensorflow as tf
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edgecnn.convert.frozen import Frozen
from edgecnn.convert.graph import refuse_no_numbers
from edgecnn.convert.onnx_node import Node, Unsupported, Value
from edgecnn.convert.onnx_operations import TRANSLATIONS
from edgecnn.convert.onnx_tensor import Tensor, image, plain
from edgecnn.core import files
from edgecnn.core.errors import InputError

Array: TypeAlias = npt.NDArray[Any]

LIMIT_BYTES = 1_000_000_000

_MAX_NODES = 20_000
_MAX_CONSTANT = 250_000_000  # numbers that a file of few bytes may make
_GROWING = {"ConstantOfShape", "Expand", "OneHot", "Pad", "Range", "Resize", "Tile"}
_OLDEST = 7  # before it, sums said which axes they spread
_DOMAINS = ("", "ai.onnx")
_COLOURS = (1, 3)
_DEPTH = 8
_SILENT = 4  # ONNX Runtime's: only what is fatal; each failure comes as an exception too
_NEWEST_FORM = 10  # ir_version: read by all ONNX Runtimes from 1.18
# Single precision over a hundred layers; a wrong translation is off by its whole size.
_TOLERANCE = 2e-3


class OnnxModel:
    """A checked ONNX file.

    Attributes:
        path: The file.
        shape: [1, H, W, C] of its image as TensorFlow takes it, None where open.
    """

    def __init__(self, path: Path) -> None:
        """Parse and check the file.

        Raises:
            InputError: damaged, with parts in other files or operations of other domains, too
                large, with weights that are no numbers, or not a classifier of one image.
        """
        self.path = path
        data = files.read_bytes(path, limit=LIMIT_BYTES, kind="ONNX model")
        self._model = _parsed(data, path)
        graph = self._model.graph
        _check(graph, self._model, path)
        self._constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        floats = ((k, v) for k, v in self._constants.items() if v.dtype.kind == "f")
        refuse_no_numbers(floats, where=path)
        inputs = [value for value in graph.input if value.name not in self._constants]
        if len(inputs) != 1 or len(graph.output) != 1:
            raise InputError(
                f"a model of {len(inputs)} inputs and {len(graph.output)} outputs",
                where=path,
                fix="keep one image and one row of scores",
            )
        self._input = inputs[0]
        sizes = [axis.dim_value or None for axis in self._input.type.tensor_type.shape.dim]
        if self._input.type.tensor_type.elem_type != TensorProto.FLOAT:
            raise InputError("an input that is not float32", where=path, fix="export it in float32")
        self._is_first = len(sizes) == 4 and sizes[1] in _COLOURS and sizes[3] not in _COLOURS
        self.shape: tuple[int | None, ...] = tuple(sizes)
        if self._is_first:
            self.shape = (sizes[0], sizes[2], sizes[3], sizes[1])

    def __call__(self, pixels: Any) -> Any:
        """Return the scores for [1, H, W, C]; inside a function that TensorFlow traces.

        Raises:
            InputError: an operation without a translation, named with its node.
        """
        known: dict[str, Value] = dict(self._constants)
        known[self._input.name] = image(pixels) if self._is_first else plain(pixels)
        for node in self._model.graph.node:
            self._take(node, known)
        result = known[self._model.graph.output[0].name]
        if not isinstance(result, Tensor):
            raise InputError("an output that no pixel changes", where=self.path, fix="check it")
        return result.plain()

    def check(self, frozen: Frozen) -> None:
        """Compare a translation with ONNX Runtime.

        Raises:
            InputError: their answers differ.
        """
        session = self._session()
        for pixels in _trial_images(frozen.shape):
            feed = pixels.transpose(0, 3, 1, 2) if self._is_first else pixels
            (expected,) = session.run(None, {self._input.name: np.ascontiguousarray(feed)})
            found = np.asarray(frozen.function(tf.constant(pixels))[0])
            size = max(float(np.abs(expected).max()), 1.0)
            if not np.abs(found - expected).max() <= _TOLERANCE * size:
                raise InputError(
                    "a model whose translation gives other answers than ONNX Runtime",
                    where=self.path,
                    fix="give the Keras or SavedModel file that it was made from",
                )

    def _session(self) -> Any:
        options = onnxruntime.SessionOptions()
        options.log_severity_level, options.intra_op_num_threads = _SILENT, 2
        # Newer tools write a newer number over the same content.
        self._model.ir_version = min(self._model.ir_version, _NEWEST_FORM)
        try:
            return onnxruntime.InferenceSession(
                self._model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its errors have no common base but Exception
            reason = " ".join(str(error).split())[-200:]
            raise InputError(
                f"a model that ONNX Runtime refuses ({reason})",
                where=self.path,
                fix="export it again",
            ) from error

    def _take(self, proto: Any, known: dict[str, Value]) -> None:
        inputs = [known[name] if name else None for name in proto.input]
        try:
            outputs = self._outputs(proto, inputs)
        except Unsupported as reason:
            raise InputError(
                f"no translation of {reason} (node {proto.name or proto.output[0]!r})",
                where=self.path,
                fix="give the Keras or SavedModel file that it was made from",
            ) from None
        known.update(zip(proto.output, outputs, strict=False))

    def _outputs(self, proto: Any, inputs: list[Value | None]) -> Sequence[Value]:
        if not any(isinstance(value, Tensor) for value in inputs):
            return self._computed(proto, inputs)
        if proto.op_type in ("Shape", "Size"):
            return [_shape_of(proto, inputs[0])]
        if proto.op_type not in TRANSLATIONS:
            raise Unsupported(proto.op_type)
        made = TRANSLATIONS[proto.op_type](Node(proto, inputs, self._version))
        return made if isinstance(made, list) else [made]

    @property
    def _version(self) -> int:
        return _opset(self._model)

    def _computed(self, proto: Any, inputs: list[Any]) -> list[Array]:
        """Return what a node makes of constants."""
        _refuse_vast(proto, inputs)
        feed = {f"in{i}": value for i, value in enumerate(inputs) if value is not None}
        node = onnx.NodeProto()
        node.CopyFrom(proto)
        node.input[:] = [f"in{i}" if f"in{i}" in feed else "" for i in range(len(inputs))]
        model = helper.make_model(
            helper.make_graph(
                [node],
                "constant",
                [helper.make_value_info(name, onnx.TypeProto()) for name in feed],
                [helper.make_value_info(name, onnx.TypeProto()) for name in node.output],
            ),
            opset_imports=[helper.make_opsetid("", self._version)],
        )
        return [np.asarray(value) for value in ReferenceEvaluator(model).run(None, feed)]


def _parsed(data: bytes, path: Path) -> Any:
    try:
        model = onnx.load_model_from_string(data)
        if len(model.functions):
            model = onnx.inliner.inline_local_functions(model)
    except Exception as error:  # protobuf's errors have no common base but Exception
        raise InputError(
            "a damaged ONNX model", where=path, fix="export or download it again"
        ) from error
    if not model.graph.node:
        raise InputError("no ONNX model", where=path, fix="export or download it again")
    return model


def _opset(model: Any) -> int:
    return max((o.version for o in model.opset_import if o.domain in _DOMAINS), default=0)


def _check(graph: Any, model: Any, where: Path) -> None:
    nodes = list(_nodes(graph, 0))
    if foreign := sorted({f"{n.domain}.{n.op_type}" for n in nodes if n.domain not in _DOMAINS}):
        raise InputError(
            f"operations of other domains: {', '.join(foreign[:5])}",
            where=where,
            fix="export it with ONNX's own operations",
        )
    version = _opset(model)
    if version < _OLDEST:
        raise InputError(
            f"operator set {version}", where=where, fix=f"export it with {_OLDEST} or newer"
        )
    if len(nodes) > _MAX_NODES:
        raise InputError(f"more than {_MAX_NODES} nodes", where=where, fix="simplify it")
    if outside := [t.name for t in _tensors(graph, nodes) if t.external_data or t.data_location]:
        raise InputError(
            f"weights in other files ({outside[0][:60]} and {len(outside) - 1} more)",
            where=where,
            fix="save it as one file (onnx.save without save_as_external_data)",
        )


def _nodes(graph: Any, depth: int) -> Iterator[Any]:
    if depth > _DEPTH:
        return
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from _nodes(inner, depth + 1)


def _tensors(graph: Any, nodes: list[Any]) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in nodes:
        for attribute in node.attribute:
            yield from attribute.tensors
            if attribute.HasField("t"):
                yield attribute.t


def _refuse_vast(node: Any, inputs: list[Any]) -> None:
    """Refuse a few bytes that ask for a vast tensor; memory has a limit of its own besides."""
    if node.op_type not in _GROWING:
        return
    given = [np.abs(value.astype(np.float64)) for value in inputs if value is not None]
    largest = max((float(value.max(initial=0)) for value in given), default=0.0)
    size = inputs[0 if node.op_type == "ConstantOfShape" else -1]
    if max(largest, float(np.prod(np.abs(size.astype(np.float64))))) > _MAX_CONSTANT:
        raise Unsupported(f"{node.op_type} to more than {_MAX_CONSTANT:,} numbers")


def _shape_of(proto: Any, value: Any) -> Array:
    shape = np.asarray(value.shape, np.int64)
    if proto.op_type == "Size":
        return np.asarray(shape.prod())
    first, last = (
        next((a.i for a in proto.attribute if a.name == name), default)
        for name, default in (("start", 0), ("end", len(shape)))
    )
    return shape[slice(first, last)]


def _trial_images(shape: tuple[int, ...]) -> Iterator[Array]:
    random = np.random.default_rng(0)
    yield random.normal(size=shape).astype(np.float32)
    yield random.random(shape).astype(np.float32)
