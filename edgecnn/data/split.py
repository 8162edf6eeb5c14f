"""Which photo trains and which one judges: decided by content and seed alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from edgecnn.core.errors import InputError
from edgecnn.data.example import Example

Shares: TypeAlias = tuple[float, float, float]
"""Percent of train, val and test."""

PARTS = ("train", "val", "test")
DEFAULT_SPLIT: Shares = (75.0, 15.0, 10.0)

VAL_OF_TRAIN: Shares = (85.0, 15.0, 0.0)
"""Where a folder brings train and test but no val, this is cut from train."""


def parse_split(text: str) -> Shares:
    """Read "75/15/10".

    Raises:
        InputError: not three numbers, a negative one, no train or val part, or another sum.
    """
    try:
        shares = tuple(float(part) for part in text.split("/"))
    except ValueError:
        shares = ()
    return check_split(shares, text)


def check_split(shares: Sequence[float], text: str = "") -> Shares:
    """Return three usable shares.

    Raises:
        InputError: see `parse_split`.
    """
    fix = "give train/val/test in percent, such as 75/15/10"
    where = f"--split {text or '/'.join(f'{share:g}' for share in shares)}"
    if len(shares) != 3:
        raise InputError("no three numbers", where=where, fix=fix)
    train, val, test = shares
    if not (train > 0 and val > 0 and test >= 0):
        raise InputError("an empty train or val part", where=where, fix=fix)
    if abs(train + val + test - 100) > 1e-6:
        raise InputError(f"a sum of {train + val + test:g}", where=where, fix=fix)
    return float(train), float(val), float(test)


def split(
    examples: Sequence[Example], shares: Shares, *, seed: int
) -> dict[str, tuple[Example, ...]]:
    """Share examples out to train, val and test, each class by itself.

    A photo's side depends on its content and the seed, not on its name, place or order.
    Copies of a photo stay together. Adding a photo to a class moves at most the two photos
    next to its boundaries. A class of three or more different photos is in each part.

    Returns:
        Part name to examples, in the order given.
    """
    side: dict[str, str] = {}
    for digests in _by_class(examples).values():
        ranked = sorted(digests, key=lambda digest: _rank(digest, seed))
        for digest, part in zip(ranked, _sides(len(ranked), shares), strict=True):
            side.setdefault(digest, part)
    return {part: tuple(e for e in examples if side[e.digest] == part) for part in PARTS}


def interleaved(examples: Sequence[Example], *, seed: int) -> list[Example]:
    """Order examples so that each beginning is a fair sample, the same for the same seed.

    One photo of each class comes first, then the classes in proportion.
    """
    keyed: list[tuple[float, str, int]] = []
    for indices in _indices_by_class(examples).values():
        ranks = sorted((_rank(examples[i].digest, seed), i) for i in indices)
        keyed += [(place / len(ranks), rank, i) for place, (rank, i) in enumerate(ranks)]
    return [examples[i] for _, _, i in sorted(keyed)]


def fingerprint(parts: Mapping[str, Sequence[Example]], *, as_given: bool) -> str:
    """Hash all photos' contents, whatever their names and order.

    Args:
        parts: Part name to examples.
        as_given: The data came split: which part a photo is in belongs to its identity.
    """
    lines = sorted(
        f"{part if as_given else ''} {example.digest}"
        for part, examples in parts.items()
        for example in examples
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _by_class(examples: Sequence[Example]) -> dict[int, set[str]]:
    classes: dict[int, set[str]] = {}
    for example in examples:
        classes.setdefault(example.label, set()).add(example.digest)
    return dict(sorted(classes.items()))


def _indices_by_class(examples: Sequence[Example]) -> dict[int, list[int]]:
    classes: dict[int, list[int]] = {}
    for index, example in enumerate(examples):
        classes.setdefault(example.label, []).append(index)
    return classes


def _rank(digest: str, seed: int) -> str:
    return hashlib.sha256(f"{seed} {digest}".encode()).hexdigest()


def _sides(count: int, shares: Shares) -> list[str]:
    """Return the part of each rank; no part stays empty where there are photos for all."""
    first = int(count * shares[0] / 100 + 0.5)
    second = int(count * (shares[0] + shares[1]) / 100 + 0.5)
    wanted = 3 if shares[2] else 2
    if count >= wanted:
        second = min(max(second, 2), count - (wanted - 2))
        first = min(max(first, 1), second - 1)
    return ["train"] * first + ["val"] * (second - first) + ["test"] * (count - second)
