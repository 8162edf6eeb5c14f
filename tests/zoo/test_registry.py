from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from edgecnn import zoo
from edgecnn.core.errors import InputError

pytestmark = pytest.mark.tensorflow


Official = Callable[..., keras.Model]
V1, V2 = keras.applications.MobileNet, keras.applications.MobileNetV2
V3_SMALL, V3_LARGE = keras.applications.MobileNetV3Small, keras.applications.MobileNetV3Large
MINIMALISTIC = {"minimalistic": True}
CLASSES = 9


@pytest.mark.uncounted
@pytest.mark.parametrize(
    ("name", "official", "options", "size"),
    [
        # Its explicit padding differs from "same" where a strided map's side is odd: 63 halves
        # to even ones, as all published sizes do.
        ("mobilenet_v1", V1, {}, 96),
        ("mobilenet_v1", V1, {"alpha": 0.25}, 63),
        ("mobilenet_v2", V2, {}, 96),
        ("mobilenet_v2", V2, {"alpha": 0.35}, 65),
        ("mobilenet_v3_small", V3_SMALL, {}, 65),
        ("mobilenet_v3_small", V3_SMALL, {"alpha": 0.75}, 64),
        ("mobilenet_v3_small", V3_SMALL, {"alpha": 1.25}, 64),
        ("mobilenet_v3_large", V3_LARGE, {}, 64),
        ("mobilenet_v3_large", V3_LARGE, {"alpha": 0.75}, 65),
        ("mobilenet_v3_small_minimalistic", V3_SMALL, MINIMALISTIC, 65),
        ("mobilenet_v3_large_minimalistic", V3_LARGE, MINIMALISTIC, 64),
        ("xception", keras.applications.Xception, {}, 77),
        ("xception", keras.applications.Xception, {}, 72),
        ("vgg16", keras.applications.VGG16, {}, 32),
        ("resnet50", keras.applications.ResNet50, {}, 33),
        ("inception_v3", keras.applications.InceptionV3, {}, 75),
    ],
)
def test_classifier_answers_like_the_official_one_with_its_weights_in_order(
    name: str,
    official: Official,
    options: dict[str, Any],
    size: int,
    smooth_pictures: Any,
    look_trained: Any,
) -> None:
    keras.utils.set_random_seed(0)
    shape, pictures = (size, size, 3), smooth_pictures(8, size)
    reference = official(input_shape=shape, weights=None, classes=CLASSES, **options)
    model = zoo.attach_head(zoo.build(name, shape=shape, alpha=options.get("alpha", 1.0)), CLASSES)
    look_trained(model, pictures)
    give(reference, model.get_weights())
    normalizes = any(isinstance(layer, keras.layers.Rescaling) for layer in reference.layers)
    inputs = pictures if normalizes else model.get_layer("normalize")(pictures)
    assert_alike(model(pictures, training=False), reference(inputs, training=False))


@pytest.mark.uncounted
@pytest.mark.parametrize("size", [64, 65])
def test_efficientnet_b0_answers_like_the_official_one_with_its_weights_in_order(
    size: int, smooth_pictures: Any, look_trained: Any
) -> None:
    keras.utils.set_random_seed(0)
    shape, pictures = (size, size, 3), smooth_pictures(8, size)
    reference = keras.applications.EfficientNetB0(input_shape=shape, weights=None, classes=CLASSES)
    model = zoo.attach_head(zoo.build("efficientnet_b0", shape=shape), CLASSES)
    look_trained(model, pictures)
    # Official weights begin with mean, variance and count of a layer that normalizes.
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    give(reference, [mean, deviation**2, np.zeros(()), *model.get_weights()])
    reference.layers[2].finalize_state()  # its normalization, as loading from a file does
    assert_alike(model(pictures, training=False), reference(pictures, training=False))


def give(reference: keras.Model, weights: list[np.ndarray]) -> None:
    """Set weights by order alone; some have a 1x1 convolution in place of a dense layer."""
    *rest, kernel, bias = weights
    reference.set_weights([*rest, kernel.reshape(reference.weights[-2].shape), bias])


def assert_alike(answers: Any, expected: Any) -> None:
    expected = np.asarray(expected)
    assert np.ptp(expected, axis=0).max() > 0.1  # pictures are told apart
    np.testing.assert_allclose(answers, expected, rtol=0, atol=1e-5)


def test_grey_pixels_make_a_network_with_one_channel() -> None:
    assert zoo.build("ds_cnn", shape=(32, 32, 1)).input_shape == (None, 32, 32, 1)
    # Its normalization has a number a colour, which would make three channels of one.
    coloured = zoo.build("efficientnet_b0", shape=(32, 32, 1))
    assert coloured.get_layer("stem_conv").kernel.shape == (3, 3, 1, 32)


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
