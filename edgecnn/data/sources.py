"""The DATA argument: a folder, or the name of a data set."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

from edgecnn.core.errors import unknown
from edgecnn.data import standard
from edgecnn.data.dataset import Dataset, Given, assemble
from edgecnn.data.folder import read_folder
from edgecnn.data.split import DEFAULT_SPLIT, check_split
from edgecnn.data.tfds import tfds

SOURCES: dict[str, Callable[[], Given]] = {
    "digits": standard.digits,
    "mnist": standard.mnist,
    "fashion_mnist": standard.fashion_mnist,
    "cifar10": standard.cifar10,
    "tf_flowers": functools.partial(tfds, "tf_flowers"),
}


def open_data(source: str, *, seed: int = 0, split: Sequence[float] = DEFAULT_SPLIT) -> Dataset:
    """Open a folder of photos or a data set by name.

    A folder of the same name as a data set is reached as ``./digits``.

    Args:
        source: As CLI.md's DATA: a path, ``digits``, ``mnist``, ``fashion_mnist``,
            ``cifar10``, ``tf_flowers`` or ``tfds:NAME``.
        seed: Of the split.
        split: Percent of train, val and test, where the data doesn't come split.

    Raises:
        InputError: no such data, or data that can't be used; see `read_folder`.
    """
    shares = check_split(split)
    return assemble(_given(source), shares, seed=seed)


def _given(source: str) -> Given:
    if source in SOURCES:
        return SOURCES[source]()
    if source.startswith("tfds:"):
        return tfds(source.removeprefix("tfds:"))
    if "/" not in source and not Path(source).exists():
        raise unknown("folder or data set", source, (*SOURCES, "tfds:NAME"), where="DATA")
    return read_folder(Path(source))
