"""Networks that answer as trained ones do, without any training; files as torch writes them."""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Array = np.ndarray[Any, Any]
Tensors = dict[str, Array]


def formula(name: str, shape: tuple[int, ...]) -> Array:
    """Return the random weights that the recorded answers were made with in torch.

    Scales keep the activations of deep networks within bounds; batch norms are no identity.
    """
    random = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith("running_var") or (name.endswith("weight") and len(shape) == 1):
        return random.uniform(0.5, 1.5, shape).astype(np.float32)
    if len(shape) < 2:
        return (0.1 * random.standard_normal(shape)).astype(np.float32)
    return (random.standard_normal(shape) * (1.5 / np.prod(shape[1:])) ** 0.5).astype(np.float32)


def safetensors(tensors: Mapping[str, Array]) -> bytes:
    table, at = {}, 0
    for name in sorted(tensors):
        end = at + tensors[name].nbytes
        kind = {"f": "F", "i": "I", "u": "BF"}[tensors[name].dtype.kind]
        table[name] = {
            "dtype": f"{kind}{8 * tensors[name].itemsize}",
            "shape": tensors[name].shape,
            "data_offsets": (at, end),
        }
        at = end
    head = json.dumps({"__metadata__": {"format": "pt"}, **table}).encode()
    data = b"".join(tensors[name].tobytes() for name in sorted(tensors))
    return struct.pack("<Q", len(head)) + head + data


@pytest.fixture(scope="session")
def smooth_pictures() -> Any:
    """A function of count and side: pictures [count, side, side, 3] of soft blobs, 0..255.

    Each has its own tint: pictures that differ little would have their differences blown
    up by batch norms, and rounding errors with them.
    """

    def draw(count: int, side: int) -> Any:
        random = np.random.default_rng(11)
        tints = random.uniform(0.1, 1.0, (count, 1, 1, 3))
        small = (random.uniform(0, 256, (count, 5, 5, 3)) * tints).astype(np.uint8)
        large = [np.asarray(Image.fromarray(p).resize((side, side))) for p in small]
        return np.stack(large).astype(np.float32)

    return draw


@pytest.fixture(scope="session")
def look_trained() -> Any:
    """A function of a classifier and pictures: changes its weights so that it tells them apart.

    With random weights and untouched statistics a deep network answers all photos alike,
    and any two networks would agree: batch norms get the statistics of these pictures, and
    logits a spread.
    """
    pytest.importorskip("tensorflow")
    import keras

    def change(model: Any, pictures: Any) -> None:
        random = np.random.default_rng(1)
        for layer in model.layers:
            if isinstance(getattr(layer, "bias", None), keras.Variable):
                # No batch norm behind it: a kernel that keeps the size of what it gets.
                layer.bias.assign(random.normal(0, 0.02, layer.bias.shape))
                *_, inputs, outputs = layer.kernel.shape
                layer.kernel.assign(layer.kernel * (1 + outputs / inputs) ** 0.5)
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = 0.0
                if layer.scale:
                    layer.gamma.assign(random.uniform(0.8, 1.2, layer.gamma.shape))
                layer.beta.assign(random.normal(0.1, 0.2, layer.beta.shape))
        model(pictures, training=True)
        logits = model.get_layer("logits")
        before = keras.Model(model.input, logits.output)
        answers = np.asarray(before(pictures, training=False)) - np.asarray(logits.bias)
        gain = 2.0 / np.ptp(answers, axis=0).max()
        logits.kernel.assign(logits.kernel * gain)
        # Around zero, or one class takes all in a network without batch norms.
        logits.bias.assign(-answers.mean(axis=0) * gain)

    return change


@pytest.fixture(scope="session")
def recorded() -> dict[str, dict[str, Any]]:
    """Networks of timm 1.0.31 and torchvision 0.29, by file: shapes, and torch 2.13's answer."""
    data = Path(__file__).with_name("torch_networks.json.gz").read_bytes()
    return {network["file"]: network for network in json.loads(gzip.decompress(data))}


@pytest.fixture(scope="session")
def tensors_of(recorded: dict[str, dict[str, Any]]) -> Callable[[str], Tensors]:
    """Return a recorded network's weights."""

    def make(file: str) -> Tensors:
        shapes = recorded[file]["shapes"]
        return {name: formula(name, tuple(shape)) for name, shape in shapes.items()}

    return make


@pytest.fixture
def write_safetensors(tmp_path: Path) -> Callable[[str, Tensors], Path]:
    """Return a function that writes tensors to a file; unsigned 16 bits stand for bfloat16."""

    def write(file: str, tensors: Tensors) -> Path:
        (tmp_path / file).write_bytes(safetensors(tensors))
        return tmp_path / file

    return write
