"""Photos stream in order, in bounded memory; the unreadable ones are skipped and told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgecnn.core.errors import InputError
from edgecnn.core.image import Preprocessing, load
from edgecnn.data import Example, Reader, open_data

SMALL = Preprocessing(height=8, width=8)
Arrays = Callable[..., list[Example]]


def _photos(folder: Path, count: int, *broken: int) -> list[Example]:
    source = sorted(folder.rglob("*.jpg"))
    examples = []
    for index in range(count):
        photo = source[index % len(source)]
        examples.append(Example(f"{index}", index % 3, photo))
    for index in broken:
        examples[index] = Example(f"{index}", 0, folder / "gone.jpg")
    return examples


def test_batches_keep_the_order_and_hold_every_photo(photo_folder: Path) -> None:
    examples = open_data(str(photo_folder)).examples
    batches = list(Reader(examples, SMALL, batch=16))
    assert [len(batch.labels) for batch in batches] == [16, 16, 16, 12]
    assert [i for batch in batches for i in batch.indices] == list(range(60))
    assert [n for batch in batches for n in batch.names] == [e.name for e in examples]
    assert [label for batch in batches for label in batch.labels] == [e.label for e in examples]
    assert all(batch.pixels.dtype == np.uint8 for batch in batches)
    np.testing.assert_array_equal(batches[1].pixels[3], load(examples[19].image, SMALL))  # type: ignore[arg-type]


def test_a_reader_can_be_read_again(photo_folder: Path) -> None:
    reader = Reader(_photos(photo_folder, 40, 7), SMALL)
    first, second = (np.concatenate([b.pixels for b in reader]) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert len(reader.skipped) == 1


def test_the_number_of_threads_changes_nothing(photo_folder: Path) -> None:
    examples = _photos(photo_folder, 50, 3)
    one, many = (
        np.concatenate([b.pixels for b in Reader(examples, SMALL, batch=7, workers=workers)])
        for workers in (1, 8)
    )
    np.testing.assert_array_equal(one, many)


@pytest.mark.parametrize("channels", [1, 3])
def test_arrays_are_read_like_photos(arrays: Arrays, channels: int) -> None:
    how = Preprocessing(height=8, width=8, channels=channels)
    (batch,) = Reader(arrays(2, 1), how)
    assert batch.pixels.shape == (3, 8, 8, channels)
    assert batch.labels.tolist() == [0, 0, 1]


def test_no_examples_give_no_batches() -> None:
    assert list(Reader([], SMALL)) == []


def test_unreadable_photos_are_skipped_and_listed(photo_folder: Path) -> None:
    reader = Reader(_photos(photo_folder, 40, 5, 20), SMALL, batch=32)
    batches = list(reader)
    assert [len(batch.labels) for batch in batches] == [32, 6]
    assert {5, 20}.isdisjoint(i for batch in batches for i in batch.indices)
    assert [skipped.path for skipped in reader.skipped] == [str(photo_folder / "gone.jpg")] * 2
    assert "No such file" in reader.skipped[0].reason


def test_more_than_five_percent_unreadable_stop_the_run(photo_folder: Path) -> None:
    with pytest.raises(InputError, match="3 unreadable of 40 photos"):
        list(Reader(_photos(photo_folder, 40, 1, 2, 3), SMALL))


def test_one_unreadable_photo_of_a_few_does_not_stop_the_run(photo_folder: Path) -> None:
    assert sum(len(b.labels) for b in Reader(_photos(photo_folder, 4, 2), SMALL)) == 3


def test_nothing_readable_stops_the_run(photo_folder: Path) -> None:
    with pytest.raises(InputError, match="1 unreadable of 1 photos"):
        list(Reader(_photos(photo_folder, 1, 0), SMALL))


def test_few_photos_wait_while_the_caller_computes(
    arrays: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, begun = threading.Lock(), [0]

    def counted(example: Example, how: Preprocessing) -> np.ndarray:
        with lock:
            begun[0] += 1
        return np.zeros(how.shape, np.uint8)

    monkeypatch.setattr("edgecnn.data.reader._decode", counted)
    reader = iter(Reader(arrays(500), SMALL, batch=10, workers=2))
    next(reader)
    assert begun[0] <= 10 + 2 * 10 + 2 + 1
    reader.close()  # type: ignore[attr-defined]


def test_leaving_early_ends_the_threads(arrays: Arrays) -> None:
    for _ in Reader(arrays(200), SMALL, batch=8):
        break
    for thread in threading.enumerate():
        if thread.name.startswith("photos"):
            thread.join(timeout=5)
            assert not thread.is_alive()
