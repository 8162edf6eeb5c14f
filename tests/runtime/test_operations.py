"""Figures of operations in real files: what the stock converters write, and ONNX by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgecnn.core import receptive
from edgecnn.core.errors import InputError
from edgecnn.runtime import arena, operations
from edgecnn.runtime.inspect import inspect, read_graph
from edgecnn.runtime.tflite import Graph, Operator, Tensor


def onnx_file(path: Path, nodes: list[Any], ends: tuple[Any, Any], weights: dict[str, Any]) -> Path:
    """Write an ONNX file; ``ends`` are shapes of "x" and "y", weights are shapes or numbers."""
    onnx = pytest.importorskip("onnx")
    helper, kinds = onnx.helper, onnx.TensorProto
    stored = []
    for name, given in weights.items():
        if isinstance(given, list):  # whole numbers: axes and shapes
            stored.append(helper.make_tensor(name, kinds.INT64, [len(given)], given))
        else:
            size = 1
            for axis in given:
                size *= axis
            stored.append(helper.make_tensor(name, kinds.FLOAT, given, [0.5] * size))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kinds.FLOAT, ends[0])],
        [helper.make_tensor_value_info("y", kinds.FLOAT, ends[1])],
        stored,
    )
    opset = [helper.make_opsetid("", 17), helper.make_opsetid("example.com", 1)]
    path.write_bytes(helper.make_model(graph, opset_imports=opset).SerializeToString())
    return path


def node(op: str, *inputs: str, to: str, **attributes: Any) -> Any:
    return pytest.importorskip("onnx").helper.make_node(op, list(inputs), [to], **attributes)


def one(path: Path, nodes: list[Any], ends: tuple[Any, Any], weights: dict[str, Any]) -> Any:
    (*_, last) = inspect(onnx_file(path / "one.onnx", nodes, ends, weights))["layers"]
    return last


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Figures of networks that TensorFlow's own converters wrote, by name."""
    pytest.importorskip("tensorflow")
    from edgecnn.convert import tflite  # isort: skip - before keras
    import keras
    from keras import layers

    from edgecnn.convert import onnx
    from edgecnn.convert.frozen import freeze

    def model(shape: tuple[int, ...], *chain: Any) -> Any:
        x = image = keras.Input(shape)
        for layer in chain:
            x = layer(x)
        return keras.Model(image, x)

    # Without a bias to add, converters leave it out.
    some = {"padding": "same", "bias_initializer": "ones"}
    textbook = model((150, 100, 3), layers.Conv2D(200, 5, **some))
    kinds = model(
        (16, 16, 4),
        layers.Conv2D(8, 3, groups=2, **some),
        layers.Conv2D(6, 3, dilation_rate=2, **some),
        layers.DepthwiseConv2D(3, strides=2, depth_multiplier=2, **some),
        layers.Conv2DTranspose(5, 3, strides=2, **some),
        layers.GlobalAveragePooling2D(),
        layers.Dense(1, bias_initializer="ones"),
    )
    volume = model((6, 6, 6, 1), layers.Conv3D(4, 3, strides=(1, 2, 2), padding="valid"))
    line = model((32, 2), layers.Conv1D(4, 5, strides=2, padding="same"))
    folder = tmp_path_factory.mktemp("operations")
    for name, network in (("textbook", textbook), ("kinds", kinds)):
        (folder / f"{name}.onnx").write_bytes(onnx.float32(freeze(network)))
    networks = {"textbook": textbook, "kinds": kinds, "volume": volume, "line": line}
    for name, network in networks.items():
        (folder / f"{name}.tflite").write_bytes(tflite.float32(freeze(network)))
    return {path.name: inspect(path) for path in folder.iterdir()}


@pytest.mark.tensorflow
@pytest.mark.parametrize("end", ["tflite", "onnx"])
def test_the_textbooks_convolution_costs_what_the_textbook_says(real: Any, end: str) -> None:
    # Geron 2019, Hands-On Machine Learning, chapter 14, memory requirements.
    facts = real[f"textbook.{end}"]
    (row,) = (layer for layer in facts["layers"] if layer["macs"])
    assert facts["params"] == 15_200
    assert facts["macs"] == row["macs"] == 225_000_000
    assert row["activation_bytes"] == 12_000_000
    assert (row["kernel"], row["stride"], row["padding"]) == ([5, 5], [1, 1], "same")
    assert facts["receptive_field"] == [5, 5]
    assert facts["activation_peak_bytes"] >= 12_000_000 + 150 * 100 * 3 * 4


@pytest.mark.tensorflow
@pytest.mark.parametrize("end", ["tflite", "onnx"])
def test_grouped_dilated_depthwise_and_transposed_kernels_are_counted(real: Any, end: str) -> None:
    facts = real[f"kinds.{end}"]
    grouped, dilated = 256 * 9 * 2 * 8, 256 * 9 * 8 * 6
    depthwise, transposed = 64 * 9 * 12, 64 * 9 * 12 * 5
    macs = [layer["macs"] for layer in facts["layers"] if layer["macs"]]
    assert macs == [grouped, dilated, depthwise, transposed, 5]
    weights = 9 * 2 * 8 + 8 + 9 * 8 * 6 + 6 + 9 * 12 + 12 + 9 * 12 * 5 + 5 + 5 + 1
    assert facts["params"] == weights
    # 3, 3 + 4, then 9 before the stride; the transposed one sees two places, two pixels apart;
    # the mean sees all 16.
    seen = [layer["receptive_field"] for layer in facts["layers"] if layer["macs"]]
    assert seen == [[3, 3], [7, 7], [9, 9], [11, 11], [26, 26]]


@pytest.mark.tensorflow
def test_volumes_and_lines_are_counted(real: Any) -> None:
    (volume,) = (layer for layer in real["volume.tflite"]["layers"] if layer["op"] == "CONV_3D")
    assert volume["macs"] == 4 * 2 * 2 * 27 * 4
    assert (volume["kernel"], volume["stride"]) == ([3, 3, 3], [1, 2, 2])
    assert real["volume.tflite"]["receptive_field"] == [3, 3, 3]
    line = real["line.tflite"]
    assert line["macs"] == 16 * 5 * 2 * 4
    assert line["receptive_field"] == [5]


@pytest.mark.tensorflow
def test_every_count_of_a_file_is_that_of_its_real_tensors(tiny_files: Path) -> None:
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    for path in tiny_files.glob("*.tflite"):
        native = interpreter.Interpreter(model_path=str(path))
        details = {each["name"]: each for each in native.get_tensor_details()}
        graph, facts = read_graph(path), inspect(path)
        weights = [t for t in graph.tensors if t.is_constant and (t.scales or "float" in t.dtype)]
        stored = [int(details[t.name]["shape"].prod()) for t in weights]
        # A single number is the scale of the pixels, or the like.
        assert facts["params"] == sum(size for size in stored if size > 1)
        for layer in facts["layers"]:
            made = details[layer["name"]]
            assert layer["output_shape"] == made["shape"].tolist()
            size = int(made["shape"].prod()) * made["dtype"]().itemsize
            assert layer["activation_bytes"] == size


def test_groups_of_a_convolution_share_nothing(tmp_path: Path) -> None:
    conv = node("Conv", "x", "w", "b", to="y", group=4, pads=[1, 1, 1, 1], strides=[2, 2])
    ends = ([1, 4, 8, 8], [1, 8, 4, 4])
    row = one(tmp_path, [conv], ends, {"w": (8, 1, 3, 3), "b": (8,)})
    assert (row["macs"], row["params"]) == (16 * 8 * 9, 80)
    assert (row["kernel"], row["stride"], row["padding"]) == ([3, 3], [2, 2], "1,1,1,1")


def test_a_transposed_convolution_spreads_its_input(tmp_path: Path) -> None:
    conv = node("ConvTranspose", "x", "w", to="y", strides=[2, 2])
    row = one(tmp_path, [conv], ([1, 4, 5, 5], [1, 3, 10, 10]), {"w": (4, 3, 2, 2)})
    assert (row["macs"], row["kernel"]) == (25 * 4 * 3 * 4, [2, 2])


@pytest.mark.parametrize(
    ("op", "options", "shape", "weights"),
    [
        ("Gemm", {}, [2, 6], (6, 5)),
        ("Gemm", {"transB": 1}, [2, 6], (5, 6)),
        ("Gemm", {"transA": 1}, [6, 2], (6, 5)),
        ("MatMul", {}, [2, 6], (6, 5)),
    ],
)
def test_products_count_the_axis_that_is_summed(
    tmp_path: Path, op: str, options: dict[str, int], shape: list[int], weights: tuple[int, ...]
) -> None:
    row = one(tmp_path, [node(op, "x", "w", to="y", **options)], (shape, [2, 5]), {"w": weights})
    assert (row["macs"], row["params"]) == (2 * 5 * 6, 30)


def test_a_product_of_two_activations_is_counted_and_has_no_weights(tmp_path: Path) -> None:
    turned = node("Transpose", "x", to="t", perm=[0, 2, 1])
    row = one(tmp_path, [turned, node("MatMul", "x", "t", to="y")], ([3, 4, 6], [3, 4, 4]), {})
    assert (row["macs"], row["params"]) == (3 * 4 * 4 * 6, 0)


def test_the_receptive_field_follows_turned_axes_and_reductions(tmp_path: Path) -> None:
    nodes = [
        node("Transpose", "x", to="planes", perm=[0, 3, 1, 2]),
        node("Conv", "planes", "w", to="c", pads=[2, 0, 2, 0], dilations=[2, 1]),
        node("Pad", "c", "borders", to="p"),
        node("AveragePool", "p", to="a", kernel_shape=[2, 2], strides=[2, 2]),
        node("ReduceMean", "a", to="m", axes=[3], keepdims=0),
        node("Flatten", "m", to="y"),
    ]
    weights = {"w": (4, 3, 3, 3), "borders": [0, 0, 0, 1, 0, 0, 0, 1]}
    path = onnx_file(tmp_path / "f.onnx", nodes, ([1, 8, 8, 3], [1, 16]), weights)
    rows = inspect(path)["layers"]
    # Height: 5, then 6, all four places of it when flattened; width: 3, 4, all four in the mean.
    assert [row["receptive_field"] for row in rows] == [
        [1, 1], [5, 3], [5, 3], [6, 4], [6, 10], [12, 10],
    ]  # fmt: skip
    assert rows[1]["dilation"] == [2, 1]
    assert rows[1]["padding"] == "2,0,2,0"


def test_the_axis_of_a_quantization_is_read(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    helper, kinds = onnx.helper, onnx.TensorProto
    graph = helper.make_graph(
        [
            helper.make_node("DequantizeLinear", ["w_q", "s", "z"], ["w"], axis=0),
            helper.make_node("Conv", ["x", "w"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", kinds.FLOAT, [1, 3, 4, 4])],
        [helper.make_tensor_value_info("y", kinds.FLOAT, [1, 2, 4, 4])],
        [
            helper.make_tensor("w_q", kinds.INT8, [2, 3, 1, 1], [1] * 6),
            helper.make_tensor("s", kinds.FLOAT, [2], [0.5, 0.25]),
            helper.make_tensor("z", kinds.INT8, [2], [0, 0]),
        ],
    )
    path = tmp_path / "axis.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    kernel = next(tensor for tensor in read_graph(path).tensors if tensor.name == "w_q")
    assert (kernel.scales, kernel.quantized_dimension) == ((0.5, 0.25), 0)


OPEN = [None, 3, "height", "width"]


def dynamic(path: Path, shape: list[Any]) -> Path:
    conv = node("Conv", "x", "w", to="y", strides=[2, 2])
    return onnx_file(path / "dynamic.onnx", [conv], (shape, None), {"w": (8, 3, 2, 2)})


def test_an_open_batch_counts_as_one_image(tmp_path: Path) -> None:
    facts = inspect(dynamic(tmp_path, ["batch", 3, 8, 8]))
    assert facts["macs"] == 16 * 8 * 12
    assert facts["inputs"][0]["shape"] == [-1, 3, 8, 8]


def test_an_open_size_is_named_with_what_to_do(tmp_path: Path) -> None:
    path = dynamic(tmp_path, OPEN)
    with pytest.raises(InputError) as caught:
        inspect(path)
    assert str(caught.value) == (
        f"an open size of dimension 2 (height) of input 'x' in {path}: "
        "say it, such as --shape x=1,3,224,224"
    )


def test_a_size_that_is_said_closes_it(tmp_path: Path) -> None:
    path = dynamic(tmp_path, OPEN)
    facts = inspect(path, shapes={"x": (1, 3, 10, 6)})
    assert facts["layers"][0]["output_shape"] == [1, 8, 5, 3]
    assert facts["macs"] == 15 * 8 * 12


@pytest.mark.parametrize(
    ("shapes", "what"),
    [
        ({"image": (1, 3, 8, 8)}, "no input 'image'"),
        ({"x": (1, 3, 8)}, "3 sizes for the 4 axes of 'x'"),
    ],
)
def test_a_size_of_nothing_is_refused(tmp_path: Path, shapes: Any, what: str) -> None:
    with pytest.raises(InputError, match=what):
        inspect(dynamic(tmp_path, OPEN), shapes=shapes)


def test_an_input_without_any_shape_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"an unknown shape of input 'x' in .*--shape x=1,3,224"):
        inspect(onnx_file(tmp_path / "x.onnx", [node("Relu", "x", to="y")], (None, None), {}))


def test_a_tensor_whose_shape_nobody_knows_is_named(tmp_path: Path) -> None:
    foreign = node("Mystery", "x", to="m", domain="example.com")
    path = onnx_file(tmp_path / "x.onnx", [foreign, node("Relu", "m", to="y")], ([1, 4], None), {})
    with pytest.raises(InputError, match=r"an unknown shape of tensor 'm'.*with fixed sizes"):
        inspect(path)


def test_a_tflite_file_has_its_sizes(tiny_files: Path) -> None:
    with pytest.raises(InputError, match="leave out --shape"):
        inspect(tiny_files / "tiny-float32.tflite", shapes={"image": (1, 32, 32, 3)})


def plain(shape: tuple[int, ...], values: tuple[int, ...] = ()) -> Tensor:
    return Tensor(
        name="t", shape=shape, dtype="float32", is_constant=bool(values), bytes=4, scales=(),
        zero_points=(), quantized_dimension=0, values=values,
    )  # fmt: skip


def step(name: str, *tensors: Tensor, **options: Any) -> tuple[Graph, Operator]:
    """One operation that reads all tensors but the last, which it makes."""
    places = tuple(range(len(tensors)))
    operator = Operator(
        name=name, version=1, inputs=places[:-1], outputs=places[-1:], options=options
    )
    graph = Graph(
        description="", tensors=tensors, operators=(operator,), inputs=(0,), outputs=places[-1:],
        opcodes={}, size=0,
    )  # fmt: skip
    return graph, operator


def seen(name: str, *tensors: Tensor, **options: Any) -> Any:
    graph, operator = step(name, *tensors, **options)
    return operations.field_of(graph, operator, [(receptive.of_image((1, 2)), tensors[0])])


def test_the_old_notation_of_a_dilated_convolution_sees_over_its_gaps() -> None:
    image, block = plain((1, 8, 8, 3)), plain((2,), (2, 2))
    parted = seen("SPACE_TO_BATCH_ND", image, block, plain((4, 4, 4, 3)))
    graph, conv = step("CONV_2D", plain((4, 4, 4, 3)), plain((5, 3, 3, 3)), plain((4, 4, 4, 5)))
    wide = operations.field_of(graph, conv, [(parted, graph.tensors[0])])
    assert receptive.sizes(wide) == (5, 5)
    graph, back = step("BATCH_TO_SPACE_ND", plain((4, 4, 4, 5)), block, plain((1, 8, 8, 5)))
    whole = operations.field_of(graph, back, [(wide, graph.tensors[0])])
    assert [extent.jump for extent in whole] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("name", "tensors", "options", "expected"),
    [
        ("AVERAGE_POOL_2D", [(1, 9, 9, 3), (1, 4, 3, 3)],
         {"filter_h": 2, "filter_w": 3, "stride_h": 2, "stride_w": 3}, (2, 3)),
        ("FULLY_CONNECTED", [(1, 9, 7, 3), (5, 189), (1, 5)], {}, (9, 7)),
        ("FULLY_CONNECTED", [(1, 9, 7, 3), (5, 3), (1, 9, 7, 5)], {}, (1, 1)),
        ("GlobalAveragePool", [(1, 3, 9, 7), (1, 3, 1, 1)], {}, (1, 9)),
        ("TRANSPOSE", [(1, 9, 7, 3), (3, 7, 9, 1)], {}, (1, 1)),
        ("MAX_POOL_2D", [(1, 9, 9, 3), (1, 9, 9, 3)], {"filter_h": 3, "filter_w": 3}, (3, 3)),
    ],
)  # fmt: skip
def test_each_kind_of_operation_is_followed(
    name: str, tensors: list[tuple[int, ...]], options: Any, expected: tuple[int, ...]
) -> None:
    assert receptive.sizes(seen(name, *map(plain, tensors), **options)) == expected


def test_operations_without_what_they_need_cost_nothing() -> None:
    image = plain((1, 4, 4, 3))
    for name, *tensors in (("CONV_2D", image), ("CONV_2D", image, plain(()), image)):
        graph, operator = step(name, *tensors)
        assert operations.macs_of(graph, operator) == 0
        assert arena.runtime_arena_bytes(graph) >= 0
    graph, _ = step("CONV_2D", image)
    nothing = Operator(name="CONV_2D", version=1, inputs=(-1, -1), outputs=(), options={})
    assert operations.macs_of(graph, nothing) == 0
    assert operations.field_of(graph, nothing, []) == ()
    assert operations.window_of(graph, nothing) is None


def test_operations_in_a_circle_are_refused(tmp_path: Path) -> None:
    nodes = [node("Add", "x", "b", to="a"), node("Relu", "a", to="b"), node("Relu", "a", to="y")]
    path = onnx_file(tmp_path / "circle.onnx", nodes, ([1, 4], [1, 4]), {})
    with pytest.raises(InputError, match="Add reads what only a later operation makes"):
        inspect(path)


def test_attributes_that_contradict_themselves_cost_a_figure_not_a_crash(tmp_path: Path) -> None:
    pool = node("MaxPool", "x", to="m", kernel_shape=[2, 2], strides=[2])
    flat = node("Flatten", "m", to="y")
    path = onnx_file(tmp_path / "odd.onnx", [pool, flat], ([1, 3, 8, 8], [1, 48]), {})
    try:
        facts = inspect(path)
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either is right
    else:
        assert facts["layers"][0]["kernel"] is None
