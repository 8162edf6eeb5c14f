"""The photos that set an integer model's ranges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgecnn.core.errors import InputError
from edgecnn.core.image import Preprocessing
from edgecnn.data import (
    Example,
    calibration_photos,
    coverage_warnings,
    draw_calibration,
    open_data,
    refuse_blank,
)
from edgecnn.data.calibration_warnings import Contents

Arrays = Callable[..., list[Example]]
Folder = Callable[..., Path]


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


HOW = Preprocessing(height=8, width=8)


def damage(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(b"no photo")


def pool_of(folder: Path) -> list[Example]:
    return list(open_data(str(folder)).examples)


def test_unreadable_photos_are_replaced_by_the_next_and_counted(make_folder: Folder) -> None:
    folder = make_folder(cats=10, dogs=10)
    damage(folder, *(f"cats/{index:03}.png" for index in range(8)))
    drawn = draw_calibration(pool_of(folder), HOW, count=12, seed=0)
    assert len(drawn.examples) == 12
    assert Counter(example.label for example in drawn.examples) == {0: 2, 1: 10}
    assert len(drawn.skipped) == 8
    assert drawn.pixels is not None
    assert drawn.pixels.shape == (12, 8, 8, 3)


def test_pixels_and_examples_are_in_the_same_order(make_folder: Folder) -> None:
    folder = make_folder(cats=40, dogs=40)
    damage(folder, "cats/003.png", "dogs/017.png")
    drawn = draw_calibration(pool_of(folder), HOW, count=70, seed=3)
    assert drawn.pixels is not None
    for example, pixels in zip(drawn.examples, drawn.pixels, strict=True):
        assert int(example.name[-7:-4]) == pixels[0, 0, 1]


def test_the_photos_drawn_are_the_readable_ones_of_the_plain_draw(arrays: Arrays) -> None:
    pool = arrays(50, 30)
    how = Preprocessing(height=4, width=4)
    plain, _ = calibration_photos(pool, count=40, seed=1)
    assert list(draw_calibration(pool, how, count=40, seed=1).examples) == plain


def test_no_readable_photo_is_one_clear_line(make_folder: Folder) -> None:
    folder = make_folder(cats=2, dogs=1)
    pool = pool_of(folder)
    damage(folder, "cats/000.png", "cats/001.png", "dogs/000.png")
    with pytest.raises(InputError, match=r"3 unreadable of 3 photos .*remove or repair"):
        draw_calibration(pool, HOW, count=3, seed=0)


def test_many_large_photos_are_not_kept_in_memory(
    arrays: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgecnn.data.calibration.KEPT_BYTES", 10 * 8 * 8 * 3)
    assert draw_calibration(arrays(20), HOW, count=10, seed=0).pixels is not None
    assert draw_calibration(arrays(20), HOW, count=11, seed=0).pixels is None


def test_pixels_of_the_first_alone_are_kept_where_the_others_are_not_wanted(
    arrays: Arrays,
) -> None:
    drawn = draw_calibration(arrays(80), HOW, count=70, kept=40, seed=0)
    whole = draw_calibration(arrays(80), HOW, count=70, seed=0)
    assert len(drawn.examples) == 70
    assert drawn.pixels is not None
    assert whole.pixels is not None
    assert np.array_equal(drawn.pixels, whole.pixels[:40])


def photos(*colours: int, textured: bool = False) -> Contents:
    contents = Contents()
    for colour in colours:
        pixels = np.full((1, 6, 6, 3), colour, np.uint8)
        if textured:
            pixels[:, ::2] += 50
        contents.add(pixels)
    return contents


def test_black_photos_are_refused() -> None:
    with pytest.raises(InputError, match=r"^40 photos, and all are black in roof: calibrate with"):
        refuse_blank(photos(*range(0, 10, 2), *[3] * 35), where="roof")
    with pytest.raises(InputError, match=r"^1 photo, and it is black in roof"):
        refuse_blank(photos(0), where="roof")


def test_photos_of_one_colour_each_are_refused() -> None:
    with pytest.raises(InputError, match="40 photos, and all are of one colour"):
        refuse_blank(photos(*range(100, 140)), where="roof")


def test_one_photo_with_something_on_it_is_enough() -> None:
    contents = photos(*range(100, 140))
    contents.add(np.random.default_rng(0).integers(0, 256, (1, 6, 6, 3), dtype=np.uint8))
    refuse_blank(contents, where="roof")
    assert list(contents.warnings()) == ["40 of 41 photos are black or of one colour"]


@pytest.mark.parametrize(
    ("contents", "warning"),
    [
        (photos(*range(0, 200, 5), textured=True), []),
        (photos(*[9] * 40, textured=True), ["all 40 photos are the same"]),
        (
            photos(*[9, 19, 29, 39] * 10, textured=True),
            ["only 4 of 40 photos differ"],
        ),
    ],
)
def test_poor_photos_are_told_of(contents: Contents, warning: list[str]) -> None:
    assert list(contents.warnings()) == warning


@pytest.mark.parametrize(
    ("labels", "warning"),
    [
        ([0, 1, 2] * 20, []),
        ([-1] * 60, []),
        ([0] * 30 + [1] * 20 + [2] * 10, []),
        ([1] * 60, ["all calibration photos are of one class (dog)"]),
        ([0, 2] * 30, ["no calibration photo of dog"]),
        ([0] * 16 + [1] * 3 + [2] * 12, ["only 31 photos to calibrate with: take 100 or more"]),
        ([0] * 90 + [1] * 30 + [2] * 3, ["calibration photos: 90 of cat, 3 of fox"]),
    ],
)
def test_classes_badly_covered_are_told_of(labels: list[int], warning: list[str]) -> None:
    assert list(coverage_warnings(labels, ("cat", "dog", "fox"))) == warning


def test_fewer_photos_than_classes_are_too_few_for_both_reasons() -> None:
    assert list(coverage_warnings([1], ("cat", "dog", "fox"))) == [
        "only 1 photo to calibrate with: take 100 or more",
        "fewer calibration photos than classes: ranges may be too narrow",
    ]


def test_of_many_missing_classes_a_few_are_named() -> None:
    classes = [f"c{index}" for index in range(10)]
    (warning,) = coverage_warnings([0, 1, 2] * 20, classes)
    assert warning == "no calibration photo of c3, c4, c5 and 4 more"
