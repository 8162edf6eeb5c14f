"""A SavedModel that somebody else made: a program of TensorFlow's, read before it is run.

Loading one runs what is in it. So the file is parsed first: each operation that any of its
functions reaches must be arithmetic or the reading of its own variables. What touches
files, Python or the network is refused by name, and so is what would run while it loads.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry

from edgecnn.core import files
from edgecnn.core.errors import InputError
from edgecnn.core.foreign import SAVED_MODEL_FILE

LIMIT_BYTES = 1_000_000_000

_SIGNATURE = "serving_default"
_FLOAT_BYTES = 4
# These keep a state and harm nobody: variables of the model's own, calls, dice.
_HARMLESS = {
    "Assert", "AssignVariableOp", "Case", "DisableCopyOnRead", "If", "Multinomial",
    "PartitionedCall", "Placeholder", "RandomStandardNormal", "RandomUniform", "RandomUniformInt",
    "ReadVariableOp", "StatefulPartitionedCall", "StatefulRandomBinomial", "StatefulUniform",
    "TruncatedNormal", "VarHandleOp", "VarIsInitializedOp", "While",
}  # fmt: skip
# TensorFlow counts some of these as free of effects: they only read files.
_OUTSIDE = re.compile(
    "File|Files|Dataset|Iterator|Table|Save|Restore|Checkpoint|Bundle|Summary|PyFunc|Proto|Rpc"
    "|Remote|Send|Recv|Sql|Reader|Record|Print|Device|TPU|XlaHost|Custom"
)
_HELD = {"variable", "function", "bare_concrete_function", "constant", "captured_tensor"}
_KEPT = _HELD | {"user_object"}


def load(path: Path) -> tuple[Callable[[Any], Any], tuple[int | None, ...]]:
    """Open a SavedModel's inference function.

    Returns:
        The function, one tensor to one tensor, and its input's sizes, None where open.

    Raises:
        InputError: damaged, too large, of TensorFlow 1, with operations that reach outside of
            the model (named), or not a function of one image.
    """
    _check_folder(path)
    graph_path = path / SAVED_MODEL_FILE
    data = files.read_bytes(graph_path, limit=LIMIT_BYTES, kind="SavedModel")
    try:
        content = saved_model_pb2.SavedModel.FromString(data)
    except Exception as error:  # protobuf's own kind, which has no types
        raise _damaged(path, error) from error
    if len(content.meta_graphs) != 1 or not content.meta_graphs[0].HasField("object_graph_def"):
        raise InputError(
            "a SavedModel of TensorFlow 1, or with several graphs",
            where=path,
            fix="save it again with TensorFlow 2",
        )
    _check(content.meta_graphs[0], path)
    try:
        loaded = tf.saved_model.load(str(path))
    except Exception as error:  # the loader raises many kinds on models that don't add up
        raise _damaged(path, error) from error
    return _signature(loaded, path)


def _damaged(path: Path, error: Exception) -> InputError:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return InputError(
        f"a damaged SavedModel ({lines[0][:200]})", where=path, fix="save or copy it again, whole"
    )


def _check_folder(path: Path) -> None:
    total = 0
    for part in path.rglob("*"):
        if part.is_symlink():
            raise InputError(f"a link ({part.name})", where=path, fix="copy the files themselves")
        total += part.stat().st_size if part.is_file() else 0
    if total > LIMIT_BYTES:
        raise InputError(
            f"a SavedModel of {total / 1e6:.0f} MB", where=path, fix="at most 1 GB is read"
        )


def _check(graph: Any, where: Path) -> None:
    """Refuse what reaches outside of the model, or would run while it loads."""
    if strange := sorted(set(_outside(graph))):
        raise InputError(
            f"operations that reach outside of the model: {', '.join(strange[:5])}",
            where=where,
            fix="save its inference function without them",
        )
    nodes = graph.object_graph_def.nodes
    kinds = {node.WhichOneof("kind") for node in nodes}
    custom = any(node.saveable_objects or node.registered_saver for node in nodes)
    if kinds - _KEPT or custom:
        what = ", ".join(sorted(str(kind) for kind in kinds - _KEPT)) or "savers of its own"
        raise InputError(
            f"{what}: parts that run or read files while the model loads",
            where=where,
            fix="save it without lookup tables and assets",
        )
    shapes = [[d.size for d in n.variable.shape.dim] for n in nodes if n.HasField("variable")]
    if sum(math.prod(shape) * _FLOAT_BYTES for shape in shapes) > LIMIT_BYTES:
        raise InputError("more than 1 GB of weights", where=where, fix="use a smaller model")


def _outside(graph: Any) -> Iterator[str]:
    """Yield the names of operations, within the model's functions, that may do harm."""
    library = {function.signature.name: function for function in graph.graph_def.library.function}
    reached: set[str] = set()
    waiting = list(graph.object_graph_def.concrete_functions)
    while waiting:
        name = waiting.pop()
        if name in reached or name not in library:
            continue
        reached.add(name)
        for node in library[name].node_def:
            waiting.extend(_called(node))
            if node.op not in library and not _is_harmless(node.op):
                yield node.op
            elif node.op in library:
                waiting.append(node.op)


def _called(node: Any) -> Iterator[str]:
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        for function in value.list.func:
            yield function.name


def _is_harmless(name: str) -> bool:
    definition = op_def_registry.get(name)
    if definition is None or _OUTSIDE.search(name):
        return False
    return name in _HARMLESS or not definition.is_stateful


def _signature(loaded: Any, path: Path) -> tuple[Callable[[Any], Any], tuple[int | None, ...]]:
    signatures = dict(getattr(loaded, "signatures", {}))
    if not signatures:
        raise InputError(
            "no signature to call", where=path, fix="save it with `model.export` or signatures="
        )
    function = signatures.get(_SIGNATURE) or next(iter(signatures.values()))
    _, inputs = function.structured_input_signature
    outputs = function.structured_outputs
    if len(inputs) != 1 or len(outputs) != 1:
        raise InputError(
            f"a function of {len(inputs)} inputs and {len(outputs)} outputs",
            where=path,
            fix="save one that takes one image and gives one row of scores",
        )
    (name, spec), (answer,) = next(iter(inputs.items())), outputs

    def call(image: Any, *, owner: Any = loaded) -> Any:  # whose variables live as long
        return function(**{name: tf.cast(image, spec.dtype)})[answer]

    return call, tuple(spec.shape) if spec.shape.rank is not None else ()
