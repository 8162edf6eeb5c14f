"""The activations of a file of any origin, in real values: what each of its tensors holds."""

from __future__ import annotations

import dataclasses
import typing
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn.core.errors import InputError
from edgecnn.core.quiet import quiet_stderr
from edgecnn.quantize.grid import Grid
from edgecnn.runtime.inspect import read_graph
from edgecnn.runtime.tflite import Graph, Tensor

Array: TypeAlias = npt.NDArray[Any]

_OFFSETS = {"int8": 0, "uint8": 128, "int16": 0}
_READ = frozenset({*_OFFSETS, "float32"})


@dataclasses.dataclass(frozen=True)
class Insides:
    """A file whose activations can be read.

    Attributes:
        path: The file.
        dtypes: Of its activations, by name, in order of execution.
        grids: Of those that are integers.
        output: Name of its output.
        source: Its input, as the file has it.
    """

    path: Path
    dtypes: Mapping[str, str]
    grids: Mapping[str, Grid]
    output: str
    source: Tensor
    _run: Callable[[Array], Mapping[str, Array]]

    def run(self, value: Array) -> dict[str, Array]:
        """Return all activations in real values, in the file's layout.

        Args:
            value: In the input's own shape and type.
        """
        try:
            raw = self._run(value)
        # Runtimes' errors have no common base but Exception.
        except Exception as error:
            raise _refused(self.path, error) from error
        return {name: _real(raw[name], self.grids.get(name)) for name in self.dtypes if name in raw}

    @property
    def takes_real(self) -> bool:
        """True where its input stands for real values: a float, or integers on a known grid."""
        return self.source.dtype == "float32" or _grid(self.source) is not None

    def on_grid(self, value: Array) -> Array:
        """Return real values in the input's own type."""
        grid = _grid(self.source)
        if grid is None:
            return value.astype(np.float32)
        return (grid.integers(value).astype(np.int32) + _OFFSETS[self.source.dtype]).astype(
            self.source.dtype
        )


def open_insides(path: Path) -> Insides:
    """Open a ``.tflite`` or ``.onnx`` file; one that kills its runtime was refused before.

    Raises:
        InputError: no such file, a damaged one, or one that its runtime refuses.
    """
    graph = read_graph(path)
    if len(graph.inputs) != 1 or not graph.outputs:
        raise InputError("more than one input", where=path, fix="use a network of one image")
    source, output = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    is_onnx = any(not operator.name.isupper() for operator in graph.operators)
    found = dict(_activations(graph))
    with quiet_stderr():
        run = (_onnx if is_onnx else _tflite)(path, graph, found)
    grids = {n: grid for n, i in found.items() if (grid := _grid(graph.tensors[i])) is not None}
    dtypes = {name: graph.tensors[place].dtype for name, place in found.items()}
    return Insides(path, dtypes, grids, output.name, source, run)


def _activations(graph: Graph) -> Iterator[tuple[str, int]]:
    for operator in graph.operators:
        for place in operator.outputs:
            tensor = graph.tensors[place]
            is_real = tensor.dtype == "float32" or len(tensor.scales) == 1
            if tensor.name and tensor.dtype in _READ and is_real:
                yield tensor.name, place


def _grid(tensor: Tensor) -> Grid | None:
    if tensor.dtype not in _OFFSETS or len(tensor.scales) != 1 or tensor.scales[0] <= 0:
        return None
    zero_point = tensor.zero_points[0] - _OFFSETS[tensor.dtype]
    return Grid(tensor.scales[0], zero_point, 16 if tensor.dtype == "int16" else 8)


def _real(value: Array, grid: Grid | None) -> Array:
    if grid is None:
        return value.astype(np.float32)
    steps = value.astype(np.float32) - _OFFSETS[value.dtype.name] - grid.zero_point
    return typing.cast("Array", steps * np.float32(grid.scale))


def _tflite(path: Path, graph: Graph, found: Mapping[str, int]) -> Callable[[Array], Any]:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it takes memory to keep all tensors
            # A delegate's own tensors can't be read; the runtime's kernels round as its do.
            interpreter = Interpreter(
                model_path=str(path),
                num_threads=2,
                experimental_preserve_all_tensors=True,
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise _refused(path, error) from error

    def run(value: Array) -> dict[str, Array]:
        interpreter.set_tensor(graph.inputs[0], value)
        interpreter.invoke()
        return {name: interpreter.get_tensor(place) for name, place in found.items()}

    return run


def _onnx(path: Path, graph: Graph, found: Mapping[str, int]) -> Callable[[Array], Any]:
    import onnx
    import onnxruntime

    model = onnx.load_model(str(path))
    made = {output for node in model.graph.node for output in node.output}
    there = {value.name for value in model.graph.output}
    names = [name for name in found if name in made]
    model.graph.output.extend(onnx.ValueInfoProto(name=n) for n in names if n not in there)
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 2
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise _refused(path, error) from error
    source = graph.tensors[graph.inputs[0]].name

    def run(value: Array) -> dict[str, Array]:
        return dict(zip(names, session.run(names, {source: value}), strict=True))

    return run


def _refused(path: Path, error: Exception) -> InputError:
    reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
    return InputError(
        f"a model that shows no tensors ({reason})", where=path, fix="export it again"
    )
