from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.runtime import arena, tflite
from edgecnn.runtime.tflite import Graph, Operator, Tensor


def tensor(size: int, *, constant: bool = False, variable: bool = False) -> Tensor:
    return Tensor(
        name="t",
        shape=(size,),
        dtype="int8",
        is_constant=constant,
        bytes=size,
        scales=(),
        zero_points=(),
        quantized_dimension=0,
        is_variable=variable,
    )


def operator(inputs: tuple[int, ...], outputs: tuple[int, ...], name: str = "CONV_2D") -> Operator:
    return Operator(name=name, version=1, inputs=inputs, outputs=outputs, options={})


def graph(tensors: list[Tensor], operators: list[Operator], outputs: tuple[int, ...]) -> Graph:
    return Graph(
        description="",
        tensors=tuple(tensors),
        operators=tuple(operators),
        inputs=(0,),
        outputs=outputs,
        opcodes={},
        size=0,
    )


def chain(*sizes: int) -> Graph:
    steps = [operator((index,), (index + 1,)) for index in range(len(sizes) - 1)]
    return graph([tensor(size) for size in sizes], steps, (len(sizes) - 1,))


def test_a_chain_reuses_the_memory_of_what_is_no_longer_needed() -> None:
    # The input stays; of the others two live at a time, and the output finds a free place.
    assert arena.planned_arena_bytes(chain(64, 640, 640, 640, 64)) == 64 + 2 * 640


def test_tensors_start_at_multiples_of_the_alignment() -> None:
    assert arena.planned_arena_bytes(chain(1, 1)) == arena.ALIGNMENT + 1


def test_a_skip_connection_keeps_its_tensor_alive() -> None:
    tensors = [tensor(64) for _ in range(5)]
    plain = [operator((i,), (i + 1,)) for i in range(4)]
    skip = [*plain[:3], operator((1, 3), (4,), "ADD")]
    assert arena.lifetimes(graph(tensors, plain, (4,)))[1].last == 1
    assert arena.lifetimes(graph(tensors, skip, (4,)))[1].last == 3


def test_weights_and_their_unpacking_take_no_arena() -> None:
    tensors = [tensor(64), tensor(999, constant=True), tensor(1998), tensor(64)]
    steps = [operator((1,), (2,), "DEQUANTIZE"), operator((0, 2, -1), (3,))]
    assert set(arena.lifetimes(graph(tensors, steps, (3,)))) == {0, 3}


def test_variables_live_through_the_whole_run() -> None:
    tensors = [tensor(64), tensor(64), tensor(64, variable=True), tensor(64)]
    steps = [operator((0,), (1,)), operator((1,), (2,)), operator((2,), (3,))]
    life = arena.lifetimes(graph(tensors, steps, (3,)))[2]
    assert (life.first, life.last) == (0, 2)


def test_a_real_file_plans_within_its_activations(mobilenet: Path) -> None:
    read = tflite.read(mobilenet.read_bytes(), where=mobilenet)
    # The second depthwise stage: 64 x 64 x 16 beside 64 x 64 x 8, and the input 128 x 128 x 3.
    assert arena.peak_bytes(read) == 64 * 64 * (16 + 8) + 128 * 128 * 3
    assert arena.planned_arena_bytes(read) >= arena.peak_bytes(read)


def used_arena_bytes(path: Path) -> int:
    """Return the bytes between the first and the last place that LiteRT's plan uses."""
    runtime = pytest.importorskip("ai_edge_litert.interpreter")
    plain = runtime.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    read = tflite.read(path.read_bytes(), where=path)
    native = runtime.Interpreter(model_path=str(path), experimental_op_resolver_type=plain)
    native.allocate_tensors()
    starts, stops = [], []
    for place, life in arena.lifetimes(read).items():
        starts.append(native.tensor(place)().__array_interface__["data"][0])
        stops.append(starts[-1] + life.bytes)
    return int(max(stops) - min(starts))


def test_the_plan_is_the_runtimes_own(mobilenet: Path, tiny_files: Path) -> None:
    for path in (mobilenet, *tiny_files.glob("*.tflite")):
        read = tflite.read(path.read_bytes(), where=path)
        # Scratch on top of the arena is not among the tensors that can be looked at.
        assert 0.95 <= arena.runtime_arena_bytes(read) / used_arena_bytes(path) <= 1.05
        assert arena.peak_bytes(read) <= arena.planned_arena_bytes(read)
        assert arena.planned_arena_bytes(read) <= arena.runtime_arena_bytes(read)


def test_windows_laid_out_as_rows_take_arena_and_1x1_ones_do_not() -> None:
    weights = tensor(1, constant=True)
    for kernel, scratch in ((3, 9), (1, 0)):
        kernels = dataclasses.replace(weights, shape=(1, kernel, kernel, 2))
        image, result = (dataclasses.replace(tensor(64), shape=(1, 8, 8, 1)) for _ in range(2))
        made = graph([image, kernels, result], [operator((0, 1), (2,))], (2,))
        extra = arena.runtime_arena_bytes(made) - arena.planned_arena_bytes(made)
        assert extra == 64 * 2 * scratch


@given(st.lists(st.integers(0, 5000), min_size=2, max_size=12), st.randoms())
def test_a_plan_lies_between_the_peak_and_no_reuse_at_all(sizes: list[int], random: object) -> None:
    tensors = [tensor(size) for size in sizes]
    steps = []
    for index in range(1, len(sizes)):
        earlier = random.sample(range(index), k=min(index, 2))  # type: ignore[attr-defined]
        steps.append(operator((index - 1, *earlier), (index,)))
    made = graph(tensors, steps, (len(sizes) - 1,))
    planned = arena.planned_arena_bytes(made)
    padded = sum(-(-size // arena.ALIGNMENT) * arena.ALIGNMENT for size in sizes)
    assert arena.peak_bytes(made) <= planned <= padded
