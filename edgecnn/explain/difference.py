"""A file beside the float network, tensor by tensor, on the same photos."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection, Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from edgecnn.core.quiet import quiet_stderr
from edgecnn.explain.partial import scores_place
from edgecnn.quantize.grid import Grid
from edgecnn.quantize.observe import Observer, sample
from edgecnn.quantize.tflite_graph import name_of, pack, read

Array: TypeAlias = npt.NDArray[Any]

# Of one tensor of one photo: enough for its power, a fraction of the network's own time.
_SAMPLED = 65_536


@dataclasses.dataclass
class Seen:
    """One tensor over all photos.

    Attributes:
        low: Smallest value of the float network; likewise high.
    """

    low: float = math.inf
    high: float = -math.inf
    _signal: float = 0.0
    _error: float = 0.0
    _cut: int = 0
    _count: int = 0

    def add(self, exact: Array, made: Array, grid: Grid | None) -> None:
        """Take in one photo's values, those of the file in real numbers."""
        self.low = min(self.low, float(exact.min()))
        self.high = max(self.high, float(exact.max()))
        exact, made = sample(exact, _SAMPLED), sample(made, _SAMPLED)
        self._signal += float(np.sum(np.square(exact, dtype=np.float64)))
        self._error += float(np.sum(np.square(made - exact, dtype=np.float64)))
        self._count += exact.size
        if grid is not None:
            half = grid.scale / 2
            self._cut += int(np.sum((exact > grid.high + half) & (made >= grid.high)))
            self._cut += int(np.sum((exact < grid.low - half) & (made <= grid.low)))

    @property
    def sqnr_db(self) -> float | None:
        """Power of the float values over that of the error; None without an error."""
        return decibels(self._signal, self._error)

    @property
    def saturated(self) -> float:
        """Share of the values, 0..1, that lie beyond the grid and were cut off."""
        return self._cut / self._count if self._count else 0.0


def decibels(signal: float, error: float) -> float | None:
    """Return a ratio of powers in decibels; None where one of them is zero."""
    return 10 * math.log10(signal / error) if signal and error else None


@dataclasses.dataclass
class Difference:
    """All tensors, and the answers.

    Attributes:
        seen: By the tensor's name.
        means: Mean of each float tensor, position by position, by its name.
        scores: [N, classes]: what the float network's softmax reads, or its output.
        answers: [N]: the float network's.
        changes: [N]: what the file adds to the lead of the first answer over the second.
        flips: Photos that the file answers otherwise.
    """

    seen: dict[str, Seen]
    means: dict[str, Array]
    scores: Array
    answers: Array
    changes: Array
    flips: int

    @property
    def photos(self) -> int:
        """Number of photos."""
        return len(self.answers)

    @property
    def noise(self) -> float:
        """Mean square change of the lead, where it is small."""
        return self.noise_of(self.changes)

    def noise_of(self, changes: Array) -> float:
        """Return the mean square of changes on the half of the photos that lead by least.

        A change of a large lead changes no answer, and may be large itself, where a grid cuts
        off the scores of confident answers.

        Args:
            changes: [n], of the first n photos.
        """
        ranked = np.sort(self.scores[: len(changes)], axis=1)
        leads = ranked[:, -1] - ranked[:, -2] if ranked.shape[1] > 1 else np.abs(ranked[:, 0])
        close = leads <= np.median(leads)
        return float(np.mean(np.square(changes[close])))


def change_of_lead(exact: Array, made: Array) -> float:
    """Return what is added to the lead of the first answer over the second.

    Args:
        exact: [classes], the float network's scores.
        made: [classes], others.
    """
    if len(exact) < 2:
        return float(made[0] - exact[0])
    second, first = np.argsort(exact)[-2:]
    return float((made[first] - made[second]) - (exact[first] - exact[second]))


def compare(
    float_file: bytes,
    file: bytes,
    inputs: Callable[[], Iterable[Array]],
    *,
    shift: float = 0.0,
    detailed: int = 64,
) -> Difference:
    """Run photos through both files and compare what bears the same name.

    Args:
        float_file: A float32 TFLite file.
        file: One that was made from it, with the same names: integers, floats or both; its
            input is an integer or a float like the float file's.
        inputs: Returns the photos, [1, H, W, C] float32 each, anew at each call.
        shift: What the file's input exceeds the float file's by.
        detailed: Of the first so many photos all tensors are compared, of others the answers.
    """
    model = read(float_file)
    tensors = model.subgraphs[0].tensors
    ends = scores_place(model), int(model.subgraphs[0].outputs[0])
    scores_name, output_name = (name_of(tensors[place]) for place in ends)
    files = [Watched(float_file), Watched(file, shift=shift)]
    observer, seen = Observer(), dict[str, Seen]()
    scores, answers, changes, flips = [], [], [], 0
    for photo, value in enumerate(inputs()):
        if photo == detailed:
            names = {scores_name, output_name}
            files = [Watched(float_file, names), Watched(file, names, shift=shift)]
        exact, made = (watched.run(value) for watched in files)
        if photo < detailed:
            observer.add(exact)
            for name in exact.keys() & made.keys():
                seen.setdefault(name, Seen()).add(exact[name], made[name], files[1].grids.get(name))
        scores.append(exact[scores_name].reshape(-1))
        answers.append(int(exact[output_name].argmax()))
        changes.append(change_of_lead(scores[-1], made[scores_name].reshape(-1)))
        flips += int(made[output_name].argmax()) != answers[-1]
    means = {name: tensor.mean for name, tensor in observer.tensors.items()}
    return Difference(
        seen, means, np.stack(scores), np.asarray(answers), np.asarray(changes), int(flips)
    )


class Watched:
    """A TFLite file whose activations can be read, in real values.

    Attributes:
        grids: Of those that are integers, by the float file's names.
    """

    def __init__(
        self, file: bytes, names: Collection[str] | None = None, *, shift: float = 0.0
    ) -> None:
        model = read(file)
        graph = model.subgraphs[0]
        self._entry, self._shift = int(graph.inputs[0]), np.float32(shift)
        self._places = {n: i for n, i in _places(model).items() if names is None or n in names}
        self.grids = {
            name: grid
            for name, i in self._places.items()
            if (grid := _grid(graph.tensors[i])) is not None
        }
        self._entry_grid = _grid(graph.tensors[self._entry])
        wanted = [i for i in self._places.values() if i != self._entry]
        graph.outputs = np.asarray(wanted, np.int32)
        with quiet_stderr():  # the runtime announces its delegate there
            self._interpreter = Interpreter(model_content=pack(model), num_threads=2)
            self._interpreter.allocate_tensors()

    def run(self, value: Array) -> dict[str, Array]:
        """Return the activations of one photo, [1, H, W, C] float32."""
        grid = self._entry_grid
        given = value if grid is None else to_grid(value + self._shift, grid)
        self._interpreter.set_tensor(self._entry, given)
        self._interpreter.invoke()
        return {
            name: _real(self._interpreter.get_tensor(place), self.grids.get(name))
            for name, place in self._places.items()
        }


def _places(model: Any) -> dict[str, int]:
    """Return where a file's activations are, by the float file's names for them."""
    graph = model.subgraphs[0]
    computed = {int(i) for operator in graph.operators for i in operator.outputs}
    found: dict[str, int] = {}
    for index in sorted({*map(int, graph.inputs), *computed}):
        tensor = graph.tensors[index]
        if tensor.type in (schema.TensorType.INT8, schema.TensorType.FLOAT32):
            found[name_of(tensor)] = index
    # What stays in float has two tensors where integers meet it, and one of its own elsewhere.
    real = {name.removesuffix("/real"): i for name, i in found.items() if name.endswith("/real")}
    return real | found


def _grid(tensor: Any) -> Grid | None:
    if tensor.type != schema.TensorType.INT8:
        return None
    return Grid(float(tensor.quantization.scale[0]), int(tensor.quantization.zeroPoint[0]))


def to_grid(value: Array, grid: Grid) -> Array:
    """Return real values as integers."""
    integers = np.rint(value / np.float32(grid.scale)) + grid.zero_point
    return integers.clip(-128, 127).astype(np.int8)


def _real(value: Array, grid: Grid | None) -> Array:
    if grid is None:
        return value
    return (value.astype(np.float32) - grid.zero_point) * np.float32(grid.scale)
