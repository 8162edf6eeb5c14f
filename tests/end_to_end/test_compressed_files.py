"""What pruning and clustering left in a checkpoint is in the files that are made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from edgecnn.core.artifact import Artifact
from edgecnn.core.checkpoint import Checkpoint
from edgecnn.export import Options, export
from edgecnn.quantize import tflite_graph
from edgecnn.training import make_recipe, train

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

SHARE, VALUES = 0.6, 8


@pytest.fixture(scope="module")
def compressed(photo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    folder, source = tmp_path_factory.mktemp("compressed"), str(photo_folder)
    recipe = make_recipe(arch="ds_cnn", alpha=0.25, size=32, tune_epochs=8, batch=8)
    base = train(source, folder / "base", recipe)
    recipe = make_recipe(base=base.card, prune=SHARE, cluster=VALUES, tune_epochs=3)
    return train(source, folder / "run", recipe, base=base)


@pytest.fixture(scope="module")
def files(compressed: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> list[Artifact]:
    options = Options(formats=("tflite", "onnx"), schemes=("float32", "int8"), force=True)
    return list(export(compressed, tmp_path_factory.mktemp("files"), options))


def file_of(files: list[Artifact], kind: str, scheme: str) -> bytes:
    chosen = [f for f in files if (f.metadata.format, f.metadata.scheme) == (kind, scheme)]
    return chosen[0].path.read_bytes()


def inner_kernels(data: bytes) -> list[Any]:
    """The kernels of a TFLite file's convolutions but for the first: all that was compressed."""
    model = tflite_graph.read(data)
    found = []
    for operator in model.subgraphs[0].operators:
        if tflite_graph.operation(model, operator) == "CONV_2D":
            tensor = model.subgraphs[0].tensors[operator.inputs[1]]
            is_int8 = tensor.type == tflite_graph.schema.TensorType.INT8
            content = bytes(model.buffers[tensor.buffer].data)
            found.append(np.frombuffer(content, np.int8 if is_int8 else np.float32))
    return found[1:]


def test_a_float_tflite_file_has_the_checkpoint_s_zeros_and_values(
    compressed: Checkpoint, files: list[Artifact]
) -> None:
    rows = [row for row in compressed.card.compression if row.spared is None]
    kernels = inner_kernels(file_of(files, "tflite", "float32"))
    assert len(kernels) == len(rows)
    for row, kernel in zip(rows, kernels, strict=True):
        assert (kernel == 0).sum() == row.zeros == int(SHARE * row.weights)
        assert len(np.unique(kernel)) == row.distinct <= VALUES


def test_a_float_onnx_file_has_them_too(compressed: Checkpoint, files: list[Artifact]) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(file_of(files, "onnx", "float32"))
    weights = {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type == "Conv"]
    found = sorted(
        ((weights[n.input[1]] == 0).sum(), len(np.unique(weights[n.input[1]])))
        for n in nodes
        if (weights[n.input[1]] == 0).any()
    )
    rows = [row for row in compressed.card.compression if row.spared is None]
    assert found == sorted((row.zeros, row.distinct) for row in rows)


def test_an_int8_file_has_no_fewer_zeros(compressed: Checkpoint, files: list[Artifact]) -> None:
    rows = [row for row in compressed.card.compression if row.spared is None]
    kernels = inner_kernels(file_of(files, "tflite", "int8"))[: len(rows)]  # then the classifier
    for row, kernel in zip(rows, kernels, strict=True):
        assert kernel.dtype == np.int8
        assert kernel.size == row.weights
        assert (kernel == 0).sum() >= row.zeros
