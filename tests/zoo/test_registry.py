from __future__ import annotations

import functools

import keras
import numpy as np
import pytest

from edgecnn import zoo
from edgecnn.core.errors import InputError

pytestmark = pytest.mark.tensorflow


@functools.cache
def classifier(name: str) -> keras.Model:
    return zoo.attach_head(zoo.build(name, shape=(71, 80, 3)), 5)


def random_weights(model: keras.Model) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [
        random.normal(0, 0.05, w.shape) if w.ndim > 1 else random.uniform(0.5, 1.5, w.shape)
        for w in model.get_weights()
    ]


# counts: keras.applications, no top; EfficientNet-Lite0: its published file without the head
@pytest.mark.parametrize(
    ("name", "alpha", "parameters", "features"),
    [
        ("mobilenet_v2", 0.35, 410_208, 1280),
        ("mobilenet_v2", 1.0, 2_257_984, 1280),
        ("mobilenet_v2", 1.4, 4_363_712, 1792),
        ("efficientnet_lite0", 1.0, 3_413_024, 1280),
        ("xception", 1.0, 20_861_480, 2048),
        ("ds_cnn", 1.0, 230_784, 256),
    ],
)
def test_body_matches_the_paper(name: str, alpha: float, parameters: int, features: int) -> None:
    body = zoo.build(name, shape=(96, 96, 3), alpha=alpha)
    assert body.count_params() == parameters
    assert body.output_shape[-1] == features


@pytest.mark.parametrize(
    ("name", "official", "size", "alpha"),
    [
        ("mobilenet_v2", keras.applications.MobileNetV2, 96, 1.0),
        ("mobilenet_v2", keras.applications.MobileNetV2, 65, 0.35),
        ("xception", keras.applications.Xception, 77, 1.0),
    ],
)
def test_body_answers_like_the_official_one_with_its_weights_in_order(
    name: str, official, size: int, alpha: float
) -> None:
    options = {"alpha": alpha} if alpha != 1.0 else {}
    reference = official(input_shape=(size, size, 3), include_top=False, weights=None, **options)
    body = zoo.build(name, shape=(size, size, 3), alpha=alpha)
    weights = random_weights(reference)
    reference.set_weights(weights)
    body.set_weights(weights)
    pixels = np.random.default_rng(1).integers(0, 256, (2, size, size, 3)).astype(np.float32)
    expected = np.asarray(reference(pixels / 127.5 - 1.0, training=False))
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(body(pixels, training=False), expected, atol=1e-5)


@pytest.mark.parametrize("name", zoo.ARCHITECTURES)
def test_classifier_gives_probabilities_for_pixels(name: str) -> None:
    answer = np.asarray(classifier(name)(np.full((2, 71, 80, 3), 255.0), training=False))
    assert answer.shape == (2, 5)
    assert answer.dtype == np.float32
    np.testing.assert_allclose(answer.sum(axis=1), 1.0, atol=1e-6)


@pytest.mark.parametrize("name", zoo.ARCHITECTURES)
def test_network_is_flat_and_pads_inside_its_convolutions(name: str) -> None:
    model = classifier(name)
    kinds = {type(layer).__name__ for layer in model.layers}
    assert not kinds & {"ZeroPadding2D", "Functional", "Sequential", "Lambda"}
    assert not [layer.name for layer in model.layers if layer.name.startswith("_")]


@pytest.mark.parametrize("name", zoo.ARCHITECTURES)
def test_normalize_layer_does_what_the_registry_says(name: str) -> None:
    layer = classifier(name).get_layer("normalize")
    pixels = np.array([[[[0, 0, 0], [255, 255, 255]]]], np.uint8)
    expected = zoo.ARCHITECTURES[name].normalization.apply(pixels)
    np.testing.assert_allclose(layer(pixels), expected, atol=1e-6)


def test_grey_pixels_make_a_network_with_one_channel() -> None:
    assert zoo.build("ds_cnn", shape=(32, 32, 1)).input_shape == (None, 32, 32, 1)


def test_preprocessing_is_the_one_of_the_published_weights() -> None:
    how = zoo.find("efficientnet_lite0").preprocessing()
    assert (how.height, how.filter, how.crop) == (224, "bicubic", 0.875)


def test_only_a_cropped_photo_is_cropped_further() -> None:
    assert zoo.find("efficientnet_lite0").preprocessing(160, resize="letterbox").crop == 1.0


def test_misspelt_architecture_gets_the_nearest_name() -> None:
    with pytest.raises(InputError, match=r"no architecture 'mobilnet_v2' .*try mobilenet_v2"):
        zoo.build("mobilnet_v2", shape=(96, 96, 3))


@pytest.mark.parametrize(
    ("name", "size", "alpha", "message"),
    [
        ("xception", 64, 1.0, "64x64 pixels in xception: use --size 71 or more"),
        ("efficientnet_lite0", 96, 0.5, "alpha 0.5 in efficientnet_lite0"),
        ("mobilenet_v2", 96, 9.0, "alpha 9.0 in mobilenet_v2"),
        ("ds_cnn", 96, float("nan"), "alpha nan in ds_cnn"),
    ],
)
def test_what_a_family_cannot_be_is_refused(
    name: str, size: int, alpha: float, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        zoo.build(name, shape=(size, size, 3), alpha=alpha)
