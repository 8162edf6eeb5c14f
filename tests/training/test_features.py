import keras
import numpy as np
import pytest

from edgecnn import zoo
from edgecnn.training.augment import Augment
from edgecnn.training.features import CHUNK, FrozenPart, compiled, extract

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def lower() -> keras.Model:
    keras.utils.set_random_seed(3)
    body = zoo.build("mobilenet_v2", shape=(32, 32, 3), alpha=0.35)
    return zoo.split(body, zoo.cut_points(body)[6])[0]


@pytest.fixture(scope="module")
def part(lower: keras.Model) -> FrozenPart:
    return FrozenPart(lower)


def photos(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize("count", [1, 4, 7])
def test_the_converted_part_computes_what_keras_does(
    lower: keras.Model, part: FrozenPart, count: int
) -> None:
    expected = lower(photos(count).astype(np.float32), training=False).numpy()
    assert np.abs(part.run(photos(count)) - expected).max() < 1e-4 * np.abs(expected).max()


def test_features_come_in_the_order_of_the_photos(part: FrozenPart) -> None:
    pixels = photos(CHUNK + 3)
    features = np.concatenate(list(extract(lambda: part, pixels, label="test")))
    assert len(features) == len(pixels)
    assert np.allclose(features[CHUNK], part.run(pixels[CHUNK : CHUNK + 1])[0], atol=1e-5)


def test_a_view_is_the_same_for_the_same_seed_and_another_one_for_another(
    part: FrozenPart,
) -> None:
    change = compiled(Augment("strong"))

    def view(seed: int) -> np.ndarray:
        return np.concatenate(
            list(extract(lambda: part, photos(5), label="test", change=change, seed=seed))
        )

    assert np.array_equal(view(1), view(1))
    assert not np.array_equal(view(1), view(2))


def test_cached_features_cost_no_conversion() -> None:
    def never() -> FrozenPart:
        raise AssertionError

    extract(never, photos(2), label="test")
