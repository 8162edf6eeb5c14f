"""The same photo is always on the same side."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.core.errors import InputError
from edgecnn.data import Example, parse_split
from edgecnn.data.split import DEFAULT_SPLIT, PARTS, fingerprint, interleaved, split

Arrays = Callable[..., list[Example]]
COUNTS = st.lists(st.integers(1, 40), min_size=1, max_size=4)
SHARES = st.sampled_from([DEFAULT_SPLIT, (60.0, 10.0, 30.0), (85.0, 15.0, 0.0), (1.0, 1.0, 98.0)])


def _sides(parts: dict[str, tuple[Example, ...]]) -> dict[str, str]:
    return {example.digest: part for part, examples in parts.items() for example in examples}


@settings(deadline=None)
@given(counts=COUNTS, shares=SHARES, seed=st.integers(0, 5))
def test_each_photo_is_in_exactly_one_part(
    arrays: Arrays, counts: list[int], shares: tuple[float, float, float], seed: int
) -> None:
    examples = arrays(*counts)
    parts = split(examples, shares, seed=seed)
    assert tuple(parts) == PARTS
    names = [example.name for part in parts.values() for example in part]
    assert sorted(names) == sorted(example.name for example in examples)


@settings(deadline=None)
@given(counts=COUNTS, shares=SHARES)
def test_each_class_is_shared_out_by_itself(
    arrays: Arrays, counts: list[int], shares: tuple[float, float, float]
) -> None:
    parts = split(arrays(*counts), shares, seed=0)
    wanted = 3 if shares[2] else 2
    for label, count in enumerate(counts):
        for part, share in zip(PARTS, shares, strict=True):
            found = sum(example.label == label for example in parts[part])
            if count >= wanted:
                assert abs(found - count * share / 100) <= 2
                assert found >= (1 if share else 0)


@settings(deadline=None)
@given(order=st.randoms(use_true_random=False), seed=st.integers(0, 5))
def test_names_and_order_change_nothing(arrays: Arrays, order: random.Random, seed: int) -> None:
    examples = arrays(20, 12)
    others = [Example(f"new{i}", e.label, e.image) for i, e in enumerate(examples)]
    order.shuffle(others)
    here, there = split(examples, DEFAULT_SPLIT, seed=seed), split(others, DEFAULT_SPLIT, seed=seed)
    assert _sides(here) == _sides(there)
    assert fingerprint(here, as_given=False) == fingerprint(there, as_given=False)


@settings(deadline=None)
@given(count=st.integers(3, 60), shares=SHARES)
def test_one_more_photo_moves_at_most_one_across_each_boundary(
    arrays: Arrays, count: int, shares: tuple[float, float, float]
) -> None:
    before = _sides(split(arrays(count), shares, seed=0))
    after = _sides(split(arrays(count + 1), shares, seed=0))
    assert sum(after[digest] != part for digest, part in before.items()) <= 2


def test_another_seed_gives_another_split(arrays: Arrays) -> None:
    examples = arrays(40)
    assert _sides(split(examples, DEFAULT_SPLIT, seed=0)) != _sides(
        split(examples, DEFAULT_SPLIT, seed=1)
    )


def test_copies_of_a_photo_stay_together_even_in_two_classes(arrays: Arrays) -> None:
    examples = arrays(30, 30)
    copies = [Example(f"copy{i}", i % 2, e.image) for i, e in enumerate(examples)]
    parts = split([*examples, *copies], DEFAULT_SPLIT, seed=0)
    places = Counter(digest for part in parts.values() for digest in {e.digest for e in part})
    assert set(places.values()) == {1}


def test_the_fingerprint_tells_other_photos_and_other_parts_apart(arrays: Arrays) -> None:
    parts = split(arrays(10), DEFAULT_SPLIT, seed=0)
    other = split(arrays(10, first=1), DEFAULT_SPLIT, seed=0)
    again = split(arrays(10), DEFAULT_SPLIT, seed=1)
    assert fingerprint(parts, as_given=False) != fingerprint(other, as_given=False)
    assert fingerprint(parts, as_given=False) == fingerprint(again, as_given=False)
    assert fingerprint(parts, as_given=True) != fingerprint(again, as_given=True)


@settings(deadline=None)
@given(counts=COUNTS, seed=st.integers(0, 3))
def test_every_beginning_of_an_interleaved_list_is_a_fair_sample(
    arrays: Arrays, counts: list[int], seed: int
) -> None:
    examples = arrays(*counts)
    ordered = interleaved(examples, seed=seed)
    assert sorted(e.name for e in ordered) == sorted(e.name for e in examples)
    classes = len(counts)
    assert len({e.label for e in ordered[:classes]}) == classes
    half = Counter(e.label for e in ordered[: len(ordered) // 2])
    for label, count in enumerate(counts):
        assert abs(half[label] - count / 2) <= classes + 1


def test_percentages_are_read() -> None:
    assert parse_split("60/10/30") == (60.0, 10.0, 30.0)
    assert parse_split("80/20/0") == (80.0, 20.0, 0.0)


@pytest.mark.parametrize(
    "text", ["", "75", "75/25", "a/b/c", "75/15/20", "100/0/0", "0/50/50", "-5/55/50", "nan/50/50"]
)
def test_other_shares_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(InputError, match="such as 75/15/10") as caught:
        parse_split(text)
    assert "--split" in str(caught.value)
