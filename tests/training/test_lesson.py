import numpy as np
import pytest

from edgecnn.training.augment import Augment
from edgecnn.training.features import compiled
from edgecnn.training.lesson import Lecture, Lesson, batches
from edgecnn.training.work import Array

pytestmark = pytest.mark.tensorflow

SMOOTH = np.linspace(0, 255, 24 * 16 * 16 * 3).reshape(24, 16, 16, 3)[::-1]
PHOTOS = np.ascontiguousarray(SMOOTH.transpose(0, 2, 1, 3)).astype(np.uint8)
LABELS = np.arange(24) % 3


def lesson(lecture: Lecture | None, photos: Array = PHOTOS, augmented: bool = True) -> Lesson:
    return Lesson(
        inputs=lambda _epoch: photos,
        labels=LABELS,
        weights=np.ones(24, np.float32),
        val_inputs=photos,
        val_labels=LABELS,
        change=compiled(Augment("strong")) if augmented else None,
        lecture=lecture,
    )


def columns(of: Lesson, seed: tuple[int, ...] = (1, 2)) -> list[Array]:
    parts = list(batches(of, epoch=0, batch=8, seed=seed))
    return [np.concatenate([np.asarray(column) for column in kind]) for kind in zip(*parts)]  # noqa: B905


def flat(photos: Array) -> Array:
    return photos.reshape(len(photos), -1).astype(np.float32)


def test_each_photo_comes_once_with_its_own_label() -> None:
    inputs, labels, *_ = columns(lesson(None, augmented=False))
    where = [int(np.flatnonzero((photo == PHOTOS).all((1, 2, 3)))[0]) for photo in inputs]
    assert sorted(where) == list(range(24))
    assert labels.tolist() == LABELS[where].tolist()


def test_an_epoch_is_the_same_when_it_is_repeated() -> None:
    first, again = columns(lesson(None)), columns(lesson(None))
    other = columns(lesson(None), seed=(1, 3))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_a_teacher_of_the_same_size_sees_exactly_the_student_s_photos() -> None:
    inputs, *_, seen = columns(lesson(Lecture(inputs=lambda _epoch: PHOTOS, answer=flat)))
    assert np.array_equal(seen, flat(inputs))


def test_a_larger_teacher_sees_the_same_change_of_the_same_photo() -> None:
    large = PHOTOS.repeat(2, axis=1).repeat(2, axis=2)
    inputs, *_, seen = columns(lesson(Lecture(inputs=lambda _epoch: large, answer=flat)))
    halved = seen.reshape(24, 16, 2, 16, 2, 3).mean((2, 4))
    assert np.abs(halved - inputs).mean() < 4
    assert np.abs(halved - np.roll(inputs, 1, axis=0)).mean() > 12


def test_answers_that_are_there_already_stay_beside_their_photos() -> None:
    answers = np.arange(24, dtype=np.float32)[:, None]
    taught = lesson(Lecture(inputs=lambda _epoch: answers), augmented=False)
    inputs, *_, seen = columns(taught)
    assert np.array_equal(inputs, PHOTOS[seen[:, 0].astype(int)])
