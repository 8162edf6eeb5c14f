from __future__ import annotations

import numpy as np
import pytest

from edgecnn.core.normalization import Normalization, same_for_all


def test_each_channel_gets_its_own_scale_and_offset() -> None:
    own = Normalization((1.0, 2.0, 0.5), (0.0, -1.0, 1.0))
    pixels = np.array([[[10, 10, 10]]], np.uint8)
    np.testing.assert_array_equal(own.apply(pixels), [[[10.0, 19.0, 6.0]]])
    assert not own.is_scalar


def test_one_pair_of_numbers_serves_any_count_of_channels() -> None:
    normalization = same_for_all(1 / 127.5, -1.0)
    assert normalization.is_scalar
    assert normalization.apply(np.zeros((2, 2, 1), np.uint8)).tolist() == [[[-1.0]] * 2] * 2


def test_a_grey_photo_gets_the_mean_of_the_colours() -> None:
    own = Normalization((1.0, 2.0, 0.5), (0.0, -1.0, 1.0))
    assert own.for_channels(3) is own
    assert own.for_channels(1) == same_for_all(3.5 / 3, 0.0)
    assert same_for_all(2.0, 1.0).for_channels(3) == same_for_all(2.0, 1.0)


@pytest.mark.parametrize(("scale", "offset"), [((), ()), ((1.0,), (0.0, 0.0))])
def test_scales_without_their_offsets_are_refused(scale, offset) -> None:
    with pytest.raises(ValueError, match="scales and"):
        Normalization(scale, offset)
