import numpy as np
import pytest

from edgecnn.training import Augment

pytestmark = pytest.mark.tensorflow


def photos(count: int = 6, size: int = 24) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def changed(augment: Augment, pixels: np.ndarray, seed: int = 1) -> np.ndarray:
    return np.asarray(augment(pixels, np.array([seed, 0])))


@pytest.mark.parametrize("strength", ["light", "strong", "flip"])
def test_changed_photos_stay_photos(strength: str) -> None:
    out = changed(Augment(strength), photos())
    assert out.shape == photos().shape
    assert out.dtype == np.float32
    assert 0 <= out.min() < out.max() <= 255


def test_the_same_seed_makes_the_same_changes_and_another_one_others() -> None:
    augment = Augment("strong")
    assert np.array_equal(changed(augment, photos()), changed(augment, photos()))
    assert not np.array_equal(changed(augment, photos()), changed(augment, photos(), seed=2))


def test_each_photo_of_a_batch_is_changed_differently() -> None:
    out = changed(Augment("strong"), np.repeat(photos(1), 4, axis=0))
    assert not np.array_equal(out[0], out[1])


def test_strong_goes_further_than_light() -> None:
    smooth = np.tile(np.linspace(0, 255, 32, dtype=np.uint8)[None, None, :, None], (64, 32, 1, 3))
    light, strong = (changed(Augment(s, flip=False), smooth) for s in ("light", "strong"))
    assert np.abs(strong - smooth).mean() > 1.5 * np.abs(light - smooth).mean()


def test_about_every_second_photo_is_mirrored_unless_flips_are_off() -> None:
    ramp = np.tile(np.arange(0, 240, 10, dtype=np.uint8)[None, None, :, None], (200, 24, 1, 3))
    rising = changed(Augment("light"), ramp)
    share = (rising[:, :, -4:].mean((1, 2, 3)) < rising[:, :, :4].mean((1, 2, 3))).mean()
    assert 0.35 < share < 0.65
    kept = changed(Augment("light", flip=False), ramp)
    assert (kept[:, :, -4:].mean((1, 2, 3)) > kept[:, :, :4].mean((1, 2, 3))).all()


def test_flip_mirrors_and_changes_nothing_else() -> None:
    pixels = photos(40)
    out = changed(Augment("flip"), pixels)
    kept = (out == pixels).all((1, 2, 3))
    mirrored = (out == pixels[:, :, ::-1]).all((1, 2, 3))
    assert (kept ^ mirrored).all()
    assert 10 < kept.sum() < 30
    assert np.array_equal(changed(Augment("flip", flip=False), pixels), pixels)


def test_the_middle_of_a_photo_stays_near_the_middle() -> None:
    dot = np.zeros((50, 33, 33, 3), np.uint8)
    dot[:, 14:19, 14:19] = 255
    out = changed(Augment("strong"), dot).mean(-1)
    weights = out.sum((1, 2))
    rows = (out.sum(2) * np.arange(33)).sum(1) / weights
    assert np.abs(rows - 16).max() < 0.25 * 33


def test_the_layer_can_be_rebuilt_from_its_configuration() -> None:
    again = Augment.from_config(Augment("light", flip=False).get_config())
    assert (again.strength, again.flip) == ("light", False)
