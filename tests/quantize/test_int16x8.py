"""Weights of 8 bits and activations of 16: each operation against float, and what is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.core.errors import CheckFailed
from edgecnn.quantize.grid import Grid, activation_grid, input_grid

pytest.importorskip("tensorflow")  # before keras

from keras import layers

from tests.quantize.test_operations import (
    NORMALIZATION,
    OPERATIONS,
    conv,
    network,
    run,
    sqnr_db,
    squeeze_excite,
)

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

# Activations of 16 bits lose nothing that shows: what is left is the rounding of the weights.
LEAST_SQNR_DB = 42.0
# LiteRT 2.3 has int8 kernels of these and none for int16.
WITHOUT_KERNEL = {"hard swish": {"HARD_SWISH"}, "elu": {"ELU"}, "nearest": {"TILE"}}


@pytest.fixture(scope="module")
def inputs(pictures: Any) -> list[Any]:
    return [NORMALIZATION.apply(picture[None, ::2, ::2][:, :12, :12]) for picture in pictures[:24]]


def quantized(model: Any, inputs: list[Any], *, io: str = "float32", bits: int = 16) -> Any:
    from edgecnn.convert import tflite as to_tflite
    from edgecnn.convert.fold import fold_batch_norm
    from edgecnn.convert.frozen import freeze
    from edgecnn.quantize import tflite
    from edgecnn.quantize.planning import make_plan

    content = to_tflite.float32(freeze(fold_batch_norm(model)))
    seen = tflite.observe(content, inputs).tensors
    grid, shift = input_grid(NORMALIZATION)
    plan = make_plan(content, seen, input_grid=grid, input_shift=shift, bits=bits)
    return tflite.quantize(content, plan, io=io)


def read(content: bytes) -> Any:
    from edgecnn.runtime import tflite

    return tflite.read(content, where="test")


@pytest.mark.parametrize("kind", OPERATIONS)
def test_an_operation_in_16_bits_is_nearer_to_float_than_any_in_8(kind, inputs):
    from edgecnn.export.checks import check_file

    graph, in_float, _ = OPERATIONS[kind]
    model = network(graph)
    made = quantized(model, inputs)
    expected = np.asarray(model(np.concatenate(inputs)))
    assert sqnr_db(expected, run("tflite", made.content, inputs)) >= LEAST_SQNR_DB
    allowed = in_float | WITHOUT_KERNEL.get(kind, set())
    assert set(made.float_operations) == allowed
    check = {"scheme": "int16x8", "io": "float32", "where": Path("x"), "in_float": allowed}
    check_file(made.content, "tflite", **check)


def test_what_only_moves_integers_keeps_the_grid_of_a_kernel_that_has_its_own(inputs):
    """tanh writes to 1/32768 whatever is planned: pooling behind it has to read that."""
    model = network(lambda x: layers.AveragePooling2D(2)(layers.Activation("tanh")(x)))
    expected = np.asarray(model(np.concatenate(inputs)))
    found = run("tflite", quantized(model, inputs).content, inputs)
    assert sqnr_db(expected, found) >= LEAST_SQNR_DB


def test_tensors_are_what_the_name_says(inputs):
    graph = read(quantized(network(squeeze_excite), inputs).content)
    layer = next(o for o in graph.operators if o.name == "CONV_2D")
    data, weights, bias = (graph.tensors[place] for place in layer.inputs)
    assert (data.dtype, weights.dtype, bias.dtype) == ("int16", "int8", "int64")
    assert len(weights.scales) == weights.shape[0]
    for tensor in graph.tensors:
        if tensor.dtype == "int16":
            assert tensor.zero_points == (0,)
    assert graph.opcodes["CONV_2D"] == 4
    assert graph.opcodes["QUANTIZE"] == 2


def test_a_file_of_8_bits_is_not_called_int16x8(inputs):
    from edgecnn.export.checks import check_file

    made = quantized(network(conv()), inputs, bits=8)
    with pytest.raises(CheckFailed, match=r"is not the int16x8 file .* its layers read int8"):
        check_file(made.content, "tflite", scheme="int16x8", io="float32", where=Path("x"))


@pytest.mark.parametrize("io", ["uint8", "int8"])
def test_bytes_in_and_out_give_the_answers_of_the_file_with_floats(io, inputs):
    from ai_edge_litert.interpreter import Interpreter

    model = network(lambda x: layers.Softmax()(4 * layers.GlobalAveragePooling2D()(x)))
    floats = run("tflite", quantized(model, inputs).content, inputs)
    interpreter = Interpreter(model_content=quantized(model, inputs, io=io).content)
    interpreter.allocate_tensors()
    entry, leave = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    assert (entry["dtype"], leave["dtype"]) == (np.dtype(io), np.dtype(io))
    grid, shift = input_grid(NORMALIZATION)
    found = []
    for value in inputs:
        integers = grid.integers(value + np.float32(shift)).astype(np.int16)
        interpreter.set_tensor(
            entry["index"], (integers + (128 if io == "uint8" else 0)).astype(io)
        )
        interpreter.invoke()
        found.append(interpreter.get_tensor(leave["index"]).astype(np.float32))
    scores = (np.concatenate(found) + (0 if io == "uint8" else 128)) / 256
    assert np.abs(scores - floats).max() <= 0.51 / 256


def test_compensated_rounding_runs_on_16_bits_too(inputs):
    from edgecnn.convert import tflite as to_tflite
    from edgecnn.convert.frozen import freeze
    from edgecnn.quantize import tflite
    from edgecnn.quantize.compensate import compensate
    from edgecnn.quantize.planning import make_plan

    model = network(lambda x: conv()(layers.ReLU()(conv()(x))))
    content = to_tflite.float32(freeze(model))
    seen = tflite.observe(content, inputs).tensors
    grid, shift = input_grid(NORMALIZATION)
    nearest = make_plan(content, seen, input_grid=grid, input_shift=shift, bits=16)
    better = compensate(content, nearest, lambda: iter(inputs))
    expected = np.asarray(model(np.concatenate(inputs)))
    before, after = (
        sqnr_db(expected, run("tflite", tflite.quantize(content, p, io="float32").content, inputs))
        for p in (nearest, better)
    )
    assert after > before + 1


@given(st.floats(-50, 0), st.floats(0.01, 50), st.integers(-128, 127))
def test_every_integer_of_8_bits_has_an_exact_twin_of_16(low, high, integer):
    grid = activation_grid(low, high)
    twin = (integer - grid.zero_point) * 128
    assert abs(twin) <= 32767
    wide = grid.wide
    assert (wide.bits, wide.zero_point) == (16, 0)
    assert twin * wide.scale == (integer - grid.zero_point) * grid.scale


def test_values_beyond_a_grid_end_at_its_last_integers():
    values = np.asarray([-1e9, 0.0, 1e9], np.float32)
    assert Grid(0.5, 3).integers(values).tolist() == [-128, 3, 127]
    assert Grid(0.5, 0, 16).integers(values).tolist() == [-32768, 0, 32767]
