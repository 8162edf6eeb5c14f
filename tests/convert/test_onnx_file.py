from __future__ import annotations

import numpy as np
import pytest

from edgecnn.core.errors import InputError

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402 - onnx is an extra


class Builder:
    """A graph as torch writes them: channels first, margins on both sides alike."""

    def __init__(self, *shape, opset=17):
        self.random = np.random.default_rng(0)
        self.nodes, self.constants, self.opset = [], [], opset
        self.shape = shape or (1, 3, 17, 17)

    def constant(self, values, kind=np.float32):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def weights(self, *shape):
        return self.constant(self.random.normal(0, 0.4, shape))

    def add(self, op, *inputs, outputs=1, **attributes):
        names = [f"{op.lower()}{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, names[0], **attributes))
        return names[0] if outputs == 1 else names

    def save(self, path, result, **more):
        graph = helper.make_graph(
            self.nodes,
            "g",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info(result, TensorProto.FLOAT, None)],
            self.constants,
        )
        opsets = [helper.make_opsetid("", self.opset)]
        opsets += [helper.make_opsetid(name, 1) for name in more.pop("domains", ())]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=9, **more)
        path.write_bytes(model.SerializeToString())
        return path

    def head(self, x):
        return self.add("Flatten", self.add("GlobalAveragePool", x), axis=1)


def conv(b, x="image", *, channels=3, out=4, kernel=3, stride=1, pad=1, groups=1):
    w = b.weights(out, channels // groups, kernel, kernel)
    return b.add("Conv", x, w, b.weights(out), strides=[stride] * 2, pads=[pad] * 4, group=groups)


def norm(b, x, n=4):
    parts = [b.weights(n), b.weights(n), b.weights(n), b.constant(b.random.uniform(0.3, 2, n))]
    return b.add("BatchNormalization", x, *parts)


def shuffled(b):
    x = b.add("Reshape", conv(b, out=6), b.constant([0, 2, 3, 17, 17], np.int64))
    x = b.add("Transpose", x, perm=[0, 2, 1, 3, 4])
    return b.add("Reshape", x, b.constant([0, 6, 17, 17], np.int64))


def squeezed(b):
    x = conv(b)
    shape = b.add("Shape", x)
    pooled = b.add("ReduceMean", x, axes=[2, 3], keepdims=0)
    first = b.add("Gather", shape, b.constant(0, np.int64))
    wanted = b.add(
        "Concat", b.add("Unsqueeze", first, b.constant([0], np.int64)),
        b.constant([4, 1, 1], np.int64), axis=0,
    )  # fmt: skip
    gate = b.add("HardSigmoid", b.add("Reshape", pooled, wanted), alpha=1 / 6, beta=0.5)
    return b.add("Mul", gate, x)


GRAPHS = {
    "strided": lambda b: conv(b, stride=2),
    "depthwise": lambda b: conv(b, conv(b), channels=4, groups=4, stride=2),
    "grouped": lambda b: conv(b, conv(b), channels=4, out=6, groups=2),
    "normed": lambda b: b.add("Relu", norm(b, conv(b))),
    "pre_activation": lambda b: conv(b, b.add("Relu", norm(b, conv(b))), channels=4),
    "max_pool_relu": lambda b: b.add(
        "MaxPool", b.add("Relu", conv(b)), kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4
    ),
    "max_pool_signed": lambda b: b.add(
        "MaxPool", conv(b), kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4
    ),
    "max_pool_ceil": lambda b: b.add(
        "MaxPool", b.add("Relu", conv(b, stride=2)), kernel_shape=[2, 2], strides=[2, 2],
        ceil_mode=1,
    ),
    "average_pool": lambda b: b.add(
        "AveragePool", conv(b), kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4
    ),
    "average_pool_with_margins": lambda b: b.add(
        "AveragePool", conv(b), kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4,
        count_include_pad=1,
    ),
    "same_lower": lambda b: b.add(
        "Conv", "image", b.weights(4, 3, 4, 4), auto_pad="SAME_LOWER", strides=[2, 2]
    ),
    "shuffle": shuffled,
    "squeeze_and_excite": squeezed,
    "concat_of_split": lambda b: b.add(
        "Concat", *b.add("Split", conv(b), outputs=2, axis=1)[::-1], axis=1
    ),
    "slice": lambda b: b.add(
        "Slice", conv(b), *(b.constant(v, np.int64) for v in ([1, 0], [4, 2**40], [1, 2], [1, 2]))
    ),
    "swish": lambda b: b.add("Mul", (x := conv(b)), b.add("Sigmoid", x)),
    "hard_swish": lambda b: b.add("HardSwish", conv(b)),
    "prelu": lambda b: b.add("PRelu", conv(b), b.constant(np.full((4, 1, 1), 0.2))),
    "clip": lambda b: b.add("Clip", conv(b), b.constant(0.0), b.constant(6.0)),
    "residual": lambda b: b.add("Add", (x := conv(b)), conv(b, x, channels=4)),
    "scale_by_channel": lambda b: b.add("Mul", conv(b), b.weights(4, 1, 1)),
    "pad_reflected": lambda b: b.add(
        "Pad", conv(b), b.constant([0, 0, 1, 2, 0, 0, 3, 0], np.int64), mode="reflect"
    ),
    "local_norm": lambda b: b.add("LRN", conv(b), size=3, alpha=0.1),
    "last_and_back": lambda b: b.add(
        "Transpose", b.add("Relu", b.add("Transpose", conv(b), perm=[0, 2, 3, 1])),
        perm=[0, 3, 1, 2],
    ),
}  # fmt: skip


def frozen(path):
    from edgecnn.convert.foreign_child import _image_shape
    from edgecnn.convert.frozen import freeze_call
    from edgecnn.convert.onnx_file import OnnxModel

    model = OnnxModel(path)
    return model, freeze_call(model, _image_shape(model.shape, None, where=path))


@pytest.mark.parametrize("name", GRAPHS)
def test_a_translation_answers_as_onnx_runtime_does(tmp_path, name) -> None:
    b = Builder()
    path = b.save(tmp_path / "m.onnx", b.head(GRAPHS[name](b)))
    model, graph = frozen(path)
    model.check(graph)


def test_dense_layers_behind_a_map_keep_the_order_of_its_values(tmp_path) -> None:
    b = Builder(1, 3, 6, 5)
    x = b.add("Flatten", conv(b), axis=1)
    x = b.add("Gemm", x, b.weights(7, 120), b.weights(7), transB=1, alpha=0.5)
    path = b.save(tmp_path / "m.onnx", b.add("Softmax", x, axis=-1))
    model, graph = frozen(path)
    model.check(graph)
    assert model.shape == (1, 6, 5, 3)
    assert graph.function.outputs[0].shape == (1, 7)


def test_a_wrong_translation_is_found_out(tmp_path, monkeypatch) -> None:
    from edgecnn.convert import onnx_operations

    b = Builder()
    path = b.save(tmp_path / "m.onnx", b.head(b.add("Neg", conv(b))))
    monkeypatch.setitem(onnx_operations.TRANSLATIONS, "Neg", onnx_operations.TRANSLATIONS["Abs"])
    model, graph = frozen(path)
    with pytest.raises(InputError, match="other answers than ONNX Runtime"):
        model.check(graph)


def test_an_image_with_channels_last_stays_so(tmp_path) -> None:
    b = Builder(1, 12, 10, 3)
    x = conv(b, b.add("Transpose", "image", perm=[0, 3, 1, 2]))
    model, graph = frozen(b.save(tmp_path / "m.onnx", b.head(x)))
    model.check(graph)
    assert model.shape == (1, 12, 10, 3)
    assert "Transpose" not in {o.type for o in graph.function.graph.get_operations()}


def test_an_operation_without_a_translation_is_named_with_its_node(tmp_path) -> None:
    b = Builder()
    path = b.save(tmp_path / "m.onnx", b.add("DepthToSpace", conv(b), blocksize=2))
    with pytest.raises(InputError, match=r"DepthToSpace \(node 'depthtospace1_0'\)"):
        frozen(path)


def refused(path):
    from edgecnn.convert.onnx_file import OnnxModel

    with pytest.raises(InputError) as error:
        OnnxModel(path)
    return str(error.value)


def test_operations_of_other_domains_are_refused_by_name(tmp_path) -> None:
    b = Builder()
    b.nodes.append(helper.make_node("Run", ["image"], ["x"], domain="evil"))
    assert "evil.Run" in refused(b.save(tmp_path / "m.onnx", "x", domains=["evil"]))


@pytest.mark.parametrize("place", ["../../../etc/passwd", "/etc/passwd", "weights.bin"])
def test_weights_in_other_files_are_refused(tmp_path, place) -> None:
    b = Builder()
    path = b.save(tmp_path / "m.onnx", b.head(conv(b)))
    model = onnx.load(path)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=place)
    path.write_bytes(model.SerializeToString())
    assert "weights in other files (c0" in refused(path)


def test_a_few_bytes_that_ask_for_a_vast_tensor_are_refused(tmp_path) -> None:
    b = Builder()
    b.nodes.append(helper.make_node("ConstantOfShape", [b.constant([2**20] * 3, np.int64)], ["v"]))
    path = b.save(tmp_path / "m.onnx", b.add("Add", conv(b), "v"))
    with pytest.raises(InputError, match="ConstantOfShape to more than"):
        frozen(path)


@pytest.mark.parametrize("content", [b"\x08", b"PK\x03\x04", b"\x00" * 100, b"not a model"])
def test_a_damaged_file_is_one_line(tmp_path, content) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    assert "ONNX" in refused(path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_named(tmp_path, value) -> None:
    b = Builder()
    result = b.head(conv(b))
    weights = numpy_helper.to_array(b.constants[0]).copy()
    weights[1, 0, 2, 2] = value
    b.constants[0].CopyFrom(numpy_helper.from_array(weights, "c0"))
    assert "weights that are no numbers (c0)" in refused(b.save(tmp_path / "m.onnx", result))


def test_old_operator_sets_are_refused(tmp_path) -> None:
    b = Builder(opset=6)
    assert "operator set 6" in refused(b.save(tmp_path / "m.onnx", conv(b)))
