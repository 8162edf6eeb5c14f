"""A frozen graph to ONNX bytes. The only module that names ``tf2onnx``."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from typing import Any

import onnx

from edgecnn.convert.frozen import INPUT_NAME, OUTPUT_NAME, Frozen
from edgecnn.convert.onnx_layout import channels_first
from edgecnn.core.errors import InputError, MissingExtra
from edgecnn.core.quiet import quiet_stderr

OPSET = 17
"""Per-axis QuantizeLinear came with 13; 17 is what Keras's own ONNX export writes."""

_CATCH_ERRORS = "TF2ONNX_CATCH_ERRORS"
# What a stumbling optimizer raises, such as the one of transposes on h-swish's constant.
_OPTIMIZER_ERRORS = (
    AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError,
)  # fmt: skip


def float32(frozen: Frozen) -> bytes:
    """Convert without any quantization; input and output keep their names and layout.

    Returns:
        A serialized ModelProto: input "image" [N, H, W, C], output "scores", float32.

    Raises:
        InputError: an operation that ONNX has not.
        MissingExtra: tf2onnx is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import tf2onnx  # noqa: F401 - that it is there, said in one line
    except ImportError:
        raise MissingExtra("export to ONNX", "train") from None
    for name in ("tf2onnx", "tf2onnx.tfonnx", "tf2onnx.optimizer"):
        logging.getLogger(name).setLevel(logging.ERROR)
    inputs = [tensor.name for tensor in frozen.function.inputs]
    outputs = [tensor.name for tensor in frozen.function.outputs]
    try:
        with _without_copies():
            proto = _converted(frozen, inputs, outputs)
    except _OPTIMIZER_ERRORS:  # with copies it leaves out the optimizer that stumbled
        proto = _converted(frozen, inputs, outputs)
    _refuse_unknown(proto.graph)
    channels_first(proto.graph)
    _rename(proto.graph, {inputs[0]: INPUT_NAME, outputs[0]: OUTPUT_NAME})
    return bytes(proto.SerializeToString())


def _with_plain_sums(graph: Any) -> Any:
    """Return the graph without sums of two tensors that look like a bias.

    Keras 3.15 adds the 1x1 maps of one photo as a bias, and tf2onnx 1.17 gives it to a
    convolution that has one already.
    """
    squeezed = {node.name for node in graph.node if node.op == "Squeeze"}
    for node in graph.node:
        layout = node.attr["data_format"].s if "data_format" in node.attr else b"NHWC"
        if node.op == "BiasAdd" and node.input[1] in squeezed and layout == b"NHWC":
            node.op = "AddV2"
            node.attr.pop("data_format", None)
    return graph


@contextlib.contextmanager
def _without_copies() -> Iterator[None]:
    """Let tf2onnx 1.17 not copy the graph before each of its optimizers.

    It holds all the copies: gigabytes for a classic's dense layers.
    """
    os.environ[_CATCH_ERRORS] = "FALSE"
    try:
        yield
    finally:
        os.environ.pop(_CATCH_ERRORS)


def _converted(frozen: Frozen, inputs: list[str], outputs: list[str]) -> Any:
    import tf2onnx

    with warnings.catch_warnings(), quiet_stderr():
        warnings.simplefilter("ignore")
        proto, _ = tf2onnx.convert.from_graph_def(
            _with_plain_sums(frozen.function.graph.as_graph_def()),
            name="edgecnn",
            input_names=inputs,
            output_names=outputs,
            opset=OPSET,
        )
    return proto


def _refuse_unknown(graph: Any) -> None:
    """Refuse what the converter passed on as it was: no runtime would load the file."""
    known = {schema.name for schema in onnx.defs.get_all_schemas()}
    if unknown := sorted({node.op_type for node in graph.node} - known):
        raise InputError(
            f"no form of {', '.join(unknown)} in ONNX", where="this network", fix="export to TFLite"
        )


def _rename(graph: Any, names: dict[str, str]) -> None:
    for value in (*graph.input, *graph.output):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        for tensors in (node.input, node.output):
            for index, name in enumerate(tensors):
                tensors[index] = names.get(name, name)
