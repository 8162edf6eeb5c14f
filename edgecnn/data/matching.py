"""The photos that judge a model, labelled with the model's own classes."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Sequence
from importlib import resources

from edgecnn.core.checkpoint import DataManifest
from edgecnn.core.errors import InputError, unknown
from edgecnn.data.dataset import Dataset
from edgecnn.data.example import Example
from edgecnn.data.sources import open_data
from edgecnn.data.split import DEFAULT_SPLIT, PARTS, interleaved

_SYNSET = re.compile(r"n\d{8}")


def examples_for(
    source: str,
    classes: Sequence[str],
    manifest: DataManifest | None,
    *,
    split: str | None = None,
    limit: int | None = None,
) -> tuple[list[Example], str]:
    """Choose the photos of DATA that judge a model.

    Args:
        source: DATA.
        classes: The model's class names, in the order of its outputs.
        manifest: What the model was trained on, where that is known.
        split: "train", "val", "test" or "all"; by default the test part (val where there
            is none) when the model was trained on this very data, else all of it.
        limit: Use at most so many, a fair sample of the classes.

    Returns:
        Examples labelled with indices into ``classes``, and the name of the part.

    Raises:
        InputError: unusable data; a folder that is none of the model's classes; an empty
            part.
    """
    if not classes:
        raise InputError(
            "a model that doesn't name its classes", where="MODEL", fix="add --labels FILE"
        )
    seed = manifest.seed if manifest else 0
    shares = (manifest and manifest.split) or DEFAULT_SPLIT
    dataset = open_data(source, seed=seed, split=shares)
    name = split or _default_part(dataset, manifest)
    labels = match_classes(dataset.classes, classes, where=source)
    chosen: Sequence[Example] = _part(dataset, name)
    if limit is not None:
        chosen = interleaved(chosen, seed=seed)[:limit]
    return [example.relabelled(labels[example.label]) for example in chosen], name


def imagenet_classes() -> tuple[str, ...]:
    """Return short, distinct names of ImageNet's 1,000 classes, in the order of synset ids.

    They are WordNet's first words for the synsets (wordnet.princeton.edu), told apart where
    two synsets share one.
    """
    return tuple(_lines("imagenet_names.txt"))


def match_classes(names: Sequence[str], classes: Sequence[str], *, where: str) -> list[int]:
    """Return the index of the model's class for each folder's name.

    A name matches by itself (case, ``_`` and ``-`` aside; each of the synonyms of
    "tench, Tinca tinca" counts), by a synset id in the class's name, by a synset id's
    place in ImageNet's usual order where the model has its 1,000 classes (or 1,001 with
    the background first), or as the index itself.

    Raises:
        InputError: names that match no class.
    """
    by_name = _index_of_names(classes)
    found = [_find(name, by_name, len(classes)) for name in names]
    missing = [name for name, index in zip(names, found, strict=True) if index is None]
    if missing:
        near = difflib.get_close_matches(_plain(missing[0]), list(by_name), n=1, cutoff=0.6)
        known = f"rename it to {near[0]}" if near else f"the model knows {_listed(classes)}"
        raise InputError(f"no class of the model for {_listed(missing)}", where=where, fix=known)
    return [index for index in found if index is not None]


def _default_part(dataset: Dataset, manifest: DataManifest | None) -> str:
    if manifest is None or dataset.manifest.fingerprint != manifest.fingerprint:
        return "all"
    return "test" if dataset.parts["test"] else "val"


def _part(dataset: Dataset, name: str) -> tuple[Example, ...]:
    if name != "all" and name not in PARTS:
        raise unknown("part of the data", name, (*PARTS, "all"), where="--split")
    chosen = dataset.examples if name == "all" else dataset.parts[name]
    if not chosen:
        raise InputError(f"no {name} photos", where=dataset.source, fix="try --split all")
    return chosen


def _index_of_names(classes: Sequence[str]) -> dict[str, int]:
    """Return plain name to index; a full name goes before a synonym, the first before others."""
    index: dict[str, int] = {}
    for position, text in enumerate(classes):
        index.setdefault(_plain(text), position)
    for position, text in enumerate(classes):
        for synonym in (*text.split(","), *_SYNSET.findall(text)):
            index.setdefault(_plain(synonym), position)
    return index


def _find(name: str, by_name: dict[str, int], count: int) -> int | None:
    if (index := by_name.get(_plain(name))) is not None:
        return index
    if count in (1000, 1001) and (place := _synset_places().get(name)) is not None:
        return place + count - 1000
    if name.isascii() and name.isdigit() and int(name) < count:
        return int(name)
    return None


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


@functools.cache
def _synset_places() -> dict[str, int]:
    """Return synset id to index among ImageNet's 1,000 classes (ILSVRC 2012, sorted by id)."""
    return {synset: place for place, synset in enumerate(_lines("imagenet_synsets.txt"))}


def _lines(name: str) -> list[str]:
    return resources.files("edgecnn.data").joinpath(name).read_text("ascii").splitlines()
