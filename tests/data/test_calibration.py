"""The photos that set an integer model's ranges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from edgecnn.data import Example, calibration_photos

Arrays = Callable[..., list[Example]]


def test_every_class_is_among_them(arrays: Arrays) -> None:
    chosen, note = calibration_photos(arrays(100, 10, 1), count=12, seed=0)
    assert set(Counter(example.label for example in chosen)) == {0, 1, 2}
    assert note.n == len(chosen) == 12


def test_the_draw_is_the_same_for_the_same_photos_in_any_order(arrays: Arrays) -> None:
    examples = arrays(30, 30)
    _, one = calibration_photos(examples, count=20, seed=1)
    _, two = calibration_photos(examples[::-1], count=20, seed=1)
    _, other = calibration_photos(examples, count=20, seed=2)
    assert one == two
    assert one.hash != other.hash


def test_a_larger_count_adds_to_a_smaller_one(arrays: Arrays) -> None:
    few, _ = calibration_photos(arrays(30, 30), count=10, seed=0)
    many, _ = calibration_photos(arrays(30, 30), count=20, seed=0)
    assert [e.name for e in few] == [e.name for e in many[:10]]


def test_fewer_photos_than_asked_are_all_taken_and_counted(arrays: Arrays) -> None:
    chosen, note = calibration_photos(arrays(2, 1), count=200, seed=0)
    assert len(chosen) == note.n == 3


@pytest.mark.parametrize("count", [0, -1])
def test_no_photo_is_no_calibration(arrays: Arrays, count: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        calibration_photos(arrays(3), count=count, seed=0)
    with pytest.raises(ValueError, match="at least one"):
        calibration_photos([], count=5, seed=0)
