from __future__ import annotations

import contextlib
import operator
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgecnn.core.errors import InputError
from edgecnn.runtime import arena, tflite
from edgecnn.runtime.flatbuffer import Buffer, FlatbufferError

FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def test_a_foreign_file_reads_as_its_paper_describes_it(mobilenet: Path) -> None:
    graph = tflite.read(mobilenet.read_bytes(), where=mobilenet)
    assert [graph.tensors[place].shape for place in graph.inputs] == [(1, 128, 128, 3)]
    assert [graph.tensors[place].shape for place in graph.outputs] == [(1, 1001)]
    assert graph.tensors[graph.inputs[0]].dtype == "uint8"
    assert sum(step.name == "DEPTHWISE_CONV_2D" for step in graph.operators) == 13
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


def test_a_long_list_that_many_tables_share_is_not_read_again_and_again() -> None:
    tables, items = 500, 500
    shared = 20 + 4 * tables
    vtable = shared + 12 + 4 * items
    data = b"".join(
        (
            struct.pack("<I4siI", 8, b"TFL3", 8 - vtable, 4),  # the root: its list follows
            struct.pack("<I", tables),
            *(struct.pack("<I", shared - (20 + 4 * index)) for index in range(tables)),
            struct.pack("<iI", shared - vtable, 4),  # the one table: its numbers follow
            struct.pack(f"<I{items}f", items, *[1.0] * items),
            struct.pack("<HHH", 6, 8, 4),  # a vtable of one field, for both
        )
    )
    listed = Buffer(data).root().tables(0)
    assert len(next(listed).array(0, "<f4")) == items
    with pytest.raises(FlatbufferError, match="more items than the file has room for"):
        list(map(operator.methodcaller("array", 0, "<f4"), listed))


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


def forged(change: Callable[[Any, Any], None]) -> bytes:
    """A whole model of one operation, made by the schema's own writer, then changed."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    flatbuffers = pytest.importorskip("flatbuffers")
    tensors = []
    for name in (b"image", b"scores"):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, [1, 4], 9, 0
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = [0.5], [3]
        tensors.append(tensor)
    step = schema.OperatorT()
    step.inputs, step.outputs, step.opcodeIndex = [0, -1], [1], 0
    graph = schema.SubGraphT()
    graph.tensors, graph.operators = tensors, [step]
    graph.inputs, graph.outputs = [0], [1]
    code = schema.OperatorCodeT()
    code.deprecatedBuiltinCode = code.builtinCode = schema.BuiltinOperator.RELU
    model = schema.ModelT()
    model.version, model.description = 3, b"forged"
    model.operatorCodes, model.subgraphs, model.buffers = [code], [graph], [schema.BufferT()]
    change(model, graph)
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), tflite.IDENTIFIER)
    return bytes(builder.Output())


def test_a_model_of_the_schemas_own_writer_reads() -> None:
    graph = tflite.read(forged(lambda model, graph: None), where="x")
    assert graph.description == "forged"
    assert graph.operators[0].name == "RELU"
    assert graph.operators[0].inputs == (0, -1)
    assert (graph.tensors[0].scales, graph.tensors[0].zero_points) == ((0.5,), (3,))


def test_custom_and_future_operations_keep_a_name() -> None:
    def custom(model: Any, graph: Any) -> None:
        code = model.operatorCodes[0]
        code.builtinCode = code.deprecatedBuiltinCode = tflite.OPERATORS.index("CUSTOM")
        code.customCode = b"MyPooling"

    def future(model: Any, graph: Any) -> None:
        model.operatorCodes[0].deprecatedBuiltinCode = 127
        model.operatorCodes[0].builtinCode = 4321

    assert tflite.read(forged(custom), where="x").opcodes == {"MyPooling": 1}
    assert tflite.read(forged(future), where="x").opcodes == {"OPERATION_4321": 1}


def test_an_operation_below_zero_is_refused() -> None:
    def negative(model: Any, graph: Any) -> None:
        model.operatorCodes[0].deprecatedBuiltinCode = model.operatorCodes[0].builtinCode = -5

    with pytest.raises(InputError, match="operation number -5"):
        tflite.read(forged(negative), where="x")


def test_content_behind_the_flatbuffer_counts_as_stored() -> None:
    def outside(model: Any, graph: Any) -> None:
        model.buffers[0].offset, model.buffers[0].size = 16, 4

    tensor = tflite.read(forged(outside), where="x").tensors[0]
    assert (tensor.is_constant, tensor.bytes) == (True, 4)


def _set(path: str, value: object) -> Callable[[Any, Any], None]:
    def change(model: Any, graph: Any) -> None:
        *way, last = path.split(".")
        target = {"model": model, "graph": graph}[way[0]]
        for step in way[1:]:
            target = target[int(step)] if step.isdecimal() else getattr(target, step)
        setattr(target, last, value)

    return change


def test_operations_in_a_circle_are_refused() -> None:
    def circle(model: Any, graph: Any) -> None:
        schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
        middle = schema.TensorT()
        middle.name, middle.shape, middle.type, middle.buffer = b"middle", [1, 4], 9, 0
        back = schema.OperatorT()
        back.inputs, back.outputs, back.opcodeIndex = [1], [2], 0
        graph.tensors.append(middle)
        graph.operators[0].inputs = [0, 2]
        graph.operators.append(back)

    with pytest.raises(InputError, match="RELU reads what only a later operation makes"):
        tflite.read(forged(circle), where="x")


def test_short_whole_numbers_are_read_and_weights_are_not() -> None:
    def axes(model: Any, graph: Any) -> None:
        schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
        for values in ([1, 2], list(range(9))):
            stored = schema.BufferT()
            stored.data = list(np.array(values, "<i4").tobytes())
            model.buffers.append(stored)
            tensor = schema.TensorT()
            tensor.name, tensor.shape, tensor.type = b"axes", [len(values)], 2
            tensor.buffer = len(model.buffers) - 1
            graph.tensors.append(tensor)

    tensors = tflite.read(forged(axes), where="x").tensors
    assert [tensor.values for tensor in tensors] == [(), (), (1, 2), ()]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (_set("model.subgraphs", []), "no graph"),
        (_set("graph.inputs", [7]), "a tensor that is not there"),
        (_set("graph.inputs", [-1]), "a tensor that is not there"),
        (_set("graph.operators.0.outputs", [2]), "a tensor that is not there"),
        (_set("graph.operators.0.opcodeIndex", 3), "number 3 of 1 known ones"),
        (_set("graph.tensors.0.shape", [1, -7]), r"a tensor of shape \(1, -7\)"),
        (_set("graph.tensors.0.shape", [1] * 40), "a tensor of shape"),
        (_set("graph.tensors.0.type", 99), "number 99 of"),
        (_set("graph.tensors.0.buffer", 9), "buffer 9 of 1"),
        (_set("graph.tensors.0.quantization.scale", [float("nan")]), "no positive number"),
        (_set("graph.tensors.0.quantization.scale", [1.0] * 4), None),
        (_set("graph.tensors.0.quantization.zeroPoint", [1, 2]), "1 scales and 2 zero points"),
    ],
)
def test_what_contradicts_itself_is_refused(
    change: Callable[[Any, Any], None], what: str | None
) -> None:
    data = forged(change)
    if what is None:  # one zero point for all channels
        assert tflite.read(data, where="x").tensors[0].zero_points == (3,) * 4
    else:
        with pytest.raises(InputError, match=what):
            tflite.read(data, where="x")


def test_a_graph_of_too_many_tensors_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tflite, "MAX_TENSORS", 1)
    with pytest.raises(InputError, match="more than 1 tensors"):
        tflite.read(forged(lambda model, graph: None), where="x")
