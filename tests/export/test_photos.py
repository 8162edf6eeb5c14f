"""Which photos set an export's ranges, which judge it, and what is wrong with them."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecnn.core.checkpoint import Card
from edgecnn.core.errors import InputError
from edgecnn.core.image import Preprocessing
from edgecnn.core.normalization import same_for_all
from edgecnn.data import open_data

pytestmark = pytest.mark.tensorflow

CLASSES = ("blue", "green", "red")


def card(source: Path | None = None, classes: tuple[str, ...] = CLASSES) -> Card:
    return Card(
        name="run",
        task="classify",
        classes=classes,
        arch="ds_cnn",
        alpha=1.0,
        preprocessing=Preprocessing(height=16, width=16),
        normalization=same_for_all(1 / 127.5, -1.0),
        weights="none",
        params=1,
        macs=1,
        recipe={},
        data=open_data(str(source)).manifest if source else None,
        phases=(),
        history=(),
        scores=(),
        seconds=1.0,
        peak_rss_mb=1.0,
        model_sha256="0" * 64,
        versions={},
    )


def photos(count, *, of=None, source=None, compare_counts=False):
    from edgecnn.export.photos import Wanted, choose_photos

    wanted = Wanted(count=count, seed=0, compare_counts=compare_counts or count == "auto")
    return choose_photos(of or card(), source=source, wanted=wanted if count else None)


@pytest.fixture
def folder(photo_folder, tmp_path) -> Path:
    """A copy of blue/, green/ and red/ with 20 photos each, to be damaged."""
    return Path(shutil.copytree(photo_folder, tmp_path / "photos"))


def names(examples) -> set[str]:
    return {example.name for example in examples}


def test_training_photos_calibrate_and_validation_photos_judge(photo_folder):
    found = photos(20, of=card(photo_folder))
    parts = open_data(str(photo_folder)).parts
    assert names(found.calibrating) <= names(parts["train"])
    assert names(found.judging) == names(parts["val"])
    assert (found.split, found.calibration.n, found.aside) == ("val", 20, ())


def test_no_scheme_that_needs_ranges_needs_photos():
    found = photos(0)
    assert (found.calibrating, found.calibration, found.warnings()) == ((), None, ())


@pytest.mark.parametrize("labelled", [True, False])
def test_no_photo_has_two_uses(photo_folder, labelled):
    known = {"of": card(photo_folder)} if labelled else {"source": str(photo_folder)}
    found = photos(20, compare_counts=True, **known)
    used = [*found.calibrating, *found.aside, *found.judging]
    assert len(found.aside) >= 8
    assert len(names(used)) == len(used)


def test_where_photos_are_scarce_those_aside_judge(photo_folder):
    found = photos("auto", source=str(photo_folder))
    assert names(found.judging) == names(found.aside)
    assert (len(found.calibrating), len(found.aside), found.split) == (48, 12, "calibration")


def test_each_class_has_its_share_at_each_count(photo_folder):
    found = photos(48, source=str(photo_folder))
    for count in (3, 12, 30, 48):
        shares = Counter(example.label for example in found.first(count).calibrating)
        assert max(shares.values()) - min(shares.values()) <= 1


def test_the_first_of_many_are_what_a_smaller_count_draws(photo_folder):
    few, many = (photos(n, source=str(photo_folder)) for n in (12, 40))
    first = many.first(12)
    assert first.calibration == few.calibration
    assert np.array_equal(list(first.pixels()), list(few.pixels()))


def test_pixels_are_the_same_kept_in_memory_or_read_again(photo_folder, monkeypatch):
    kept = photos(20, source=str(photo_folder))
    monkeypatch.setattr("edgecnn.data.calibration.KEPT_BYTES", 0)
    read = photos(20, source=str(photo_folder))
    assert kept.prepared is not None
    assert read.prepared is None
    assert np.array_equal(list(kept.pixels()), list(read.pixels()))


def test_unreadable_photos_are_replaced_counted_and_told_of_without_their_path(folder):
    for index in range(12):
        (folder / "red" / f"{index:02}.jpg").write_bytes(b"no photo")
    found = photos(30, source=str(folder))
    assert found.calibration.n == len(found.calibrating) == 30
    assert found.calibration.skipped == 12
    (remark,) = found.remarks
    assert remark.startswith("12 photos could not be read (as ")
    assert str(folder) not in remark
    assert len(found.judging) == 60 - 12 - 30


def test_photos_of_which_none_can_be_read_are_refused(folder):
    for path in folder.glob("*/*.jpg"):
        path.write_bytes(b"no photo")
    with pytest.raises(InputError, match=r"60 unreadable of 60 photos"):
        photos(40, source=str(folder))


def test_where_most_can_not_be_read_some_still_judge(folder):
    for path in sorted(folder.glob("*/*.jpg"))[:50]:
        path.write_bytes(b"no photo")
    found = photos(40, source=str(folder))
    assert (len(found.calibrating), len(found.judging)) == (8, 2)
    assert not names(found.judging) & names(found.calibrating)


def test_black_photos_are_refused_by_their_place(folder):
    for path in folder.glob("*/*.jpg"):
        Image.new("RGB", (20, 20), (len(path.name), 2, 1)).save(path)
    with pytest.raises(InputError, match=r"all are black in .*photos: calibrate with photos such"):
        photos(40, source=str(folder))


def test_copies_of_one_photo_are_told_of(folder):
    one = (folder / "red" / "00.jpg").read_bytes()
    for path in folder.glob("*/*.jpg"):
        path.write_bytes(one)
    assert "all 60 photos are the same" in photos(40, source=str(folder)).warnings()


def test_photos_of_one_class_are_told_of(folder):
    shutil.rmtree(folder / "green")
    shutil.rmtree(folder / "red")
    warnings = photos(200, source=str(folder)).warnings()
    assert warnings == (
        "only 16 photos to calibrate with: take 100 or more",
        "all calibration photos are of one class (blue)",
    )


def test_one_photo_a_class_is_enough_and_told_of(folder):
    for path in folder.glob("*/*.jpg"):
        if path.name != "00.jpg":
            path.unlink()
    found = photos(200, source=str(folder))
    assert len(found.calibrating) == 2
    assert found.warnings() == (
        "only 2 photos to calibrate with: take 100 or more",
        "fewer calibration photos than classes: ranges may be too narrow",
    )


def test_good_photos_need_no_word(photo_folder):
    assert photos(40, source=str(photo_folder)).warnings() == ()


def test_too_few_photos_to_compare_counts_with_are_refused(folder):
    for path in folder.glob("*/*.jpg"):
        if path.name != "00.jpg":
            path.unlink()
    for path in (folder / "red", folder / "green"):
        shutil.rmtree(path)
    with pytest.raises(InputError, match=r"too few photos \(1\) to compare counts .*a number"):
        photos("auto", source=str(folder))
