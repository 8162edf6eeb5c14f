"""Whole networks in int8, one a kind of block, at their least size."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow, pytest.mark.uncounted]

NORMALIZED = {"tflite": {"LOCAL_RESPONSE_NORMALIZATION"}, "onnx": {"LRN"}}

# name, side, alpha, has it local response normalization?
FAMILIES = (
    ("lenet5", 32, 1.0, False),
    ("mobilenet_v3_small", 32, 0.35, False),
    ("mobilenet_v4_conv_small", 32, 1.0, False),
    ("resnet18", 32, 1.0, False),
    ("googlenet", 32, 1.0, True),
)


def settled(arch: str, size: int, alpha: float, photos: np.ndarray):
    """A random classifier whose batch norms know photos and whose answers differ."""
    import keras

    from edgecnn import zoo

    keras.utils.set_random_seed(0)
    model = zoo.classifier(arch, 4, shape=(size, size, 3), alpha=alpha)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
            layer.beta.assign(layer.beta + 1.0)
    model(photos, training=True)
    last = model.get_layer("logits")
    logits = np.asarray(keras.Model(model.input, last.output)(photos, training=False))
    kernel, bias = last.get_weights()
    gain = 2 / logits.std(axis=0).mean()
    last.set_weights([kernel * gain, bias - logits.mean(axis=0) * gain])
    return model


# Format and scheme, and how far from the float scores they may be on average.
OTHERS = {
    ("tflite", "weights8"): 0.02, ("onnx", "weights8"): 0.02,
    ("tflite", "weights4"): 0.2, ("onnx", "weights4"): 0.2,
    ("tflite", "int16x8"): 0.03,
    ("onnx", "int8"): 0.04, ("ort", "int8"): 0.04,
}  # fmt: skip


# The two large ones would take minutes for seven files each.
SMALL = [row[:3] for row in FAMILIES if row[0] not in ("resnet18", "googlenet")]


@pytest.mark.parametrize(("arch", "size", "alpha"), SMALL, ids=str)
def test_a_network_in_other_schemes_scores_as_in_float(arch, size, alpha, pictures, tmp_path):
    from edgecnn import zoo
    from edgecnn.export.checks import check_file
    from edgecnn.export.writers import Writers
    from edgecnn.runtime import load

    photos = np.stack([np.asarray(Image.fromarray(p).resize((size, size))) for p in pictures[:32]])
    model = settled(arch, size, alpha, photos.astype(np.float32))
    expected = np.asarray(model(photos.astype(np.float32), training=False))
    writers = Writers(
        model,
        zoo.find(arch).normalization,
        lambda: (p[None] for p in photos),
        onnx_form="integer",
    )
    for (suffix, scheme), largest in OTHERS.items():
        io = "uint8" if scheme in ("int8", "int16x8") else "float32"
        made = writers.make(suffix, scheme, io)
        path = tmp_path / f"{scheme}.{suffix}"
        path.write_bytes(made.content)
        allowed = made.float_operations
        check_file(made.content, suffix, scheme=scheme, io=io, where=path, in_float=allowed)
        found = np.asarray(load(path).run(photos), np.float32)
        found = found / found.sum(axis=1, keepdims=True)
        assert np.abs(found - expected).mean() < largest, path.name


@pytest.mark.parametrize(("arch", "size", "alpha", "normalizes"), FAMILIES, ids=str)
def test_a_network_in_int8_scores_as_in_float_in_both_formats(
    arch, size, alpha, normalizes, pictures, tmp_path
):
    from edgecnn import zoo
    from edgecnn.export.checks import check_file
    from edgecnn.export.writers import Writers
    from edgecnn.runtime import load

    photos = np.stack([np.asarray(Image.fromarray(p).resize((size, size))) for p in pictures[:32]])
    model = settled(arch, size, alpha, photos.astype(np.float32))
    expected = np.asarray(model(photos.astype(np.float32), training=False))
    writers = Writers(model, zoo.find(arch).normalization, lambda: (p[None] for p in photos))
    for suffix in ("tflite", "onnx"):
        made = writers.make(suffix, "int8", "uint8")
        in_float = NORMALIZED[suffix] if normalizes else set()
        assert set(made.float_operations) == in_float
        path = tmp_path / f"x.{suffix}"
        check_file(made.content, suffix, scheme="int8", io="uint8", where=path, in_float=in_float)
        path.write_bytes(made.content)
        found = np.asarray(load(path).run(photos), np.float32)
        found = found / found.sum(axis=1, keepdims=True)  # scores or their integers
        assert np.abs(found - expected).mean() < 0.04
        assert np.mean(found.argmax(1) == expected.argmax(1)) >= 0.8
