"""Names, paddings and epsilons against answers that were recorded in torch."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from edgecnn import zoo
from edgecnn.zoo.torch_names import CONVENTIONS

pytestmark = pytest.mark.tensorflow

FILES = (
    "efficientnet_b0.pth",
    "efficientnet_lite0_ra.pth",
    "legacy_seresnet50.pth",
    "mnasnet1_0-tv.pth",
    "mnasnet_100.pth",
    "mobilenet_v2-tv.pth",
    "mobilenet_v3_large-tv.pth",
    "mobilenet_v3_small-tv.pth",
    "mobilenetv1_100.pth",
    "mobilenetv2_050.pth",
    "mobilenetv3_large_100.pth",
    "mobilenetv3_small_100.pth",
    "mobilenetv4_conv_medium.safetensors",
    "mobilenetv4_conv_small.safetensors",
    "resnet18.pth",
    "resnet34.pth",
    "resnet50.pth",
    "tf_efficientnet_lite0.pth",
    "tf_mobilenetv3_small_100.pth",
    "tf_mobilenetv3_small_minimal_100.pth",
    "xception.pth",
)


@pytest.mark.uncounted
@pytest.mark.parametrize("file", FILES)
def test_network_with_torchs_weights_gives_torchs_answers(
    file, recorded, tensors_of, write_safetensors
) -> None:
    network = recorded[file]
    path = write_safetensors(file, tensors_of(file))
    name, alpha, size = network["arch"], network["alpha"], network["size"]
    weights = zoo.open_weights(name, str(path), alpha=alpha)
    model = zoo.classifier(name, 10, shape=(size, size, 3), alpha=alpha, weights=weights)
    logits = keras.Model(model.input, model.get_layer("logits").output)
    pixels = np.random.default_rng(size).integers(0, 256, (1, size, size, 3)).astype(np.float32)
    answer, expected = np.asarray(logits(pixels, training=False))[0], np.array(network["output"])
    assert np.abs(answer - expected).max() <= 1e-5 * np.abs(expected).max()


def test_every_recorded_network_is_tried(recorded) -> None:
    assert set(FILES) == set(recorded)


def test_conventions_are_for_architectures_that_exist() -> None:
    assert set(CONVENTIONS) <= set(zoo.ARCHITECTURES)
