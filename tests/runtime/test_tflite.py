from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgecnn.core.errors import InputError
from edgecnn.runtime import arena, tflite

FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def test_a_foreign_file_reads_as_its_paper_describes_it(mobilenet: Path) -> None:
    graph = tflite.read(mobilenet.read_bytes(), where=mobilenet)
    assert [graph.tensors[place].shape for place in graph.inputs] == [(1, 128, 128, 3)]
    assert [graph.tensors[place].shape for place in graph.outputs] == [(1, 1001)]
    assert graph.tensors[graph.inputs[0]].dtype == "uint8"
    assert sum(operator.name == "DEPTHWISE_CONV_2D" for operator in graph.operators) == 13
    assert graph.size == mobilenet.stat().st_size


def test_options_of_a_convolution_are_read(mobilenet: Path) -> None:
    stem = tflite.read(mobilenet.read_bytes(), where=mobilenet).operators[0]
    assert stem.name == "CONV_2D"
    assert stem.options == {
        "padding": "SAME",
        "stride_w": 2,
        "stride_h": 2,
        "activation": "RELU6",
        "dilation_w": 1,
        "dilation_h": 1,
    }


def test_our_reader_agrees_with_the_runtime_on_every_tensor(tiny_files: Path) -> None:
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    for path in tiny_files.glob("*.tflite"):
        graph = tflite.read(path.read_bytes(), where=path)
        native = interpreter.Interpreter(model_path=str(path))
        assert graph.inputs == (native.get_input_details()[0]["index"],)
        assert graph.outputs == (native.get_output_details()[0]["index"],)
        for details in native.get_tensor_details():
            if details["index"] >= len(graph.tensors):  # the delegate's own
                continue
            tensor = graph.tensors[details["index"]]
            assert tensor.name == details["name"]
            assert tensor.shape == tuple(details["shape"])
            assert tensor.dtype == np.dtype(details["dtype"]).name
            quantization = details["quantization_parameters"]
            assert tensor.scales == tuple(quantization["scales"].tolist())
            assert tensor.zero_points == tuple(quantization["zero_points"].tolist())
            assert tensor.quantized_dimension == quantization["quantized_dimension"]


def test_our_names_of_operations_are_those_of_the_schema() -> None:
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    known = {k: v for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
    ours = {name: number for number, name in enumerate(tflite.OPERATORS)}
    assert ours == {name: number for name, number in known.items() if number < len(ours)}


def test_weights_are_constant_with_their_stored_size(tiny_files: Path) -> None:
    path = tiny_files / "tiny-int8.tflite"
    graph = tflite.read(path.read_bytes(), where=path)
    kernel = graph.tensors[next(o for o in graph.operators if o.name == "CONV_2D").inputs[1]]
    assert kernel.is_constant
    assert kernel.bytes == np.prod(kernel.shape)
    assert len(kernel.scales) == kernel.shape[0]


def test_bytes_behind_the_flatbuffer_do_not_matter(mobilenet: Path) -> None:
    data = mobilenet.read_bytes()
    plain, longer = tflite.read(data, where="a"), tflite.read(data + b"tail" * 9, where="a")
    assert plain.tensors == longer.tensors
    assert plain.operators == longer.operators


@pytest.mark.parametrize("data", [b"", b"TFL3", b"hello, world", b"\x00" * 64, b"PK\x03\x04" * 9])
def test_another_kind_of_file_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(InputError, match=r"^no TFLite model in cat\.tflite: "):
        tflite.read(data, where="cat.tflite")


def test_an_empty_flatbuffer_has_no_graph() -> None:
    vtable_and_table = struct.pack("<I4sHHi", 12, b"TFL3", 4, 4, 4)
    with pytest.raises(InputError, match="no graph"):
        tflite.read(vtable_and_table, where="x")


def test_a_forged_list_of_one_table_many_times_is_refused() -> None:
    """A million operators that all point to one table would cost memory that nobody paid for."""
    count = 1000
    head = struct.pack("<I4sHHHHi", 16, b"TFL3", 8, 8, 0, 4, 8)  # a table with field 1
    vector = struct.pack("<I", count) + b"".join(
        struct.pack("<I", 2**32 - 1 - 4 * index) for index in range(count)
    )
    with pytest.raises(InputError, match="damaged TFLite model"):
        tflite.read(head + struct.pack("<I", 4) + vector, where="x")


def test_every_truncation_is_refused_or_harmless(tiny_files: Path) -> None:
    data = (tiny_files / "tiny-int8.tflite").read_bytes()
    for size in range(0, len(data), 13):
        with pytest.raises(InputError):
            tflite.read(data[:size], where="x")


@FUZZ
@given(data=st.data())
def test_flipped_bits_never_escape_as_another_error(tiny_files: Path, data: st.DataObject) -> None:
    damaged = bytearray((tiny_files / "tiny-int8.tflite").read_bytes())
    places = st.integers(8, len(damaged) - 1)
    for place in data.draw(st.lists(places, min_size=1, max_size=8)):
        damaged[place] ^= 1 << data.draw(st.integers(0, 7))
    with contextlib.suppress(InputError):
        graph = tflite.read(bytes(damaged), where="x")
        assert arena.planned_arena_bytes(graph) >= 0


@FUZZ
@given(st.binary(max_size=400))
def test_random_bytes_behind_the_identifier_never_escape_as_another_error(noise: bytes) -> None:
    with contextlib.suppress(InputError):
        tflite.read(noise[:4].ljust(4, b"\0") + b"TFL3" + noise[4:], where="x")
