"""A Dataset: named classes, and photos shared out to train, val and test."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence

from edgecnn.core.checkpoint import DataManifest
from edgecnn.core.errors import InputError
from edgecnn.data.balance import imbalance_warning
from edgecnn.data.example import Example, read_digests
from edgecnn.data.split import PARTS, VAL_OF_TRAIN, Shares, fingerprint, split

LEAST_PER_CLASS = 3
"""One photo each to train, to choose the best weights by, and to judge."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Photos of some classes, shared out.

    Attributes:
        source: The DATA argument; an absolute path for a folder.
        classes: Names, sorted where they come from folders.
        parts: "train", "val" and "test" to examples; a part may be empty.
        manifest: What a checkpoint remembers of this data.
        warnings: What a person should know before training, one sentence each.
    """

    source: str
    classes: tuple[str, ...]
    parts: Mapping[str, tuple[Example, ...]]
    manifest: DataManifest
    warnings: tuple[str, ...]

    @property
    def examples(self) -> tuple[Example, ...]:
        """All photos: train, then val, then test."""
        return tuple(example for part in PARTS for example in self.parts[part])


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Given:
    """What a source holds before it is split here.

    Attributes:
        source: As in `Dataset`.
        classes: As in `Dataset`.
        parts: Part name to examples where the source came split, else "all" to examples.
    """

    source: str
    classes: tuple[str, ...]
    parts: Mapping[str, Sequence[Example]]


def assemble(given: Given, shares: Shares, *, seed: int) -> Dataset:
    """Split what came whole; cut val from train where the source brought no val."""
    whole = "all" in given.parts
    read_digests([example for part in given.parts.values() for example in part])
    if whole:
        parts = split(given.parts["all"], shares, seed=seed)
    else:
        parts = {name: tuple(given.parts.get(name, ())) for name in PARTS}
        if parts["train"] and "val" not in given.parts:
            parts |= {**split(parts["train"], VAL_OF_TRAIN, seed=seed), "test": parts["test"]}
    counts = Counter(example.label for part in parts.values() for example in part)
    per_class = tuple(counts[label] for label in range(len(given.classes)))
    manifest = DataManifest(
        source=given.source,
        fingerprint=fingerprint(given.parts, as_given=not whole),
        seed=seed,
        split=shares if whole else None,
        n_train=len(parts["train"]),
        n_val=len(parts["val"]),
        n_test=len(parts["test"]),
        per_class=per_class,
    )
    notes = (imbalance_warning(given.classes, per_class), *_copies(parts))
    return Dataset(
        source=given.source,
        classes=given.classes,
        parts=parts,
        manifest=manifest,
        warnings=tuple(note for note in notes if note),
    )


def require_trainable(dataset: Dataset) -> None:
    """Refuse data that nothing can be learned from.

    Raises:
        InputError: fewer than two classes, a class with fewer than three photos, or no
            photos to train with or to choose by.
    """
    where = dataset.source
    if len(dataset.classes) < 2:
        raise InputError(
            f"one class only ({', '.join(dataset.classes)})",
            where=where,
            fix="add a folder of photos of something else",
        )
    scarce = [
        f"{name} ({count})"
        for name, count in zip(dataset.classes, dataset.manifest.per_class, strict=True)
        if count < LEAST_PER_CLASS
    ]
    if scarce:
        raise InputError(
            f"fewer than {LEAST_PER_CLASS} photos of {', '.join(scarce[:5])}",
            where=where,
            fix="add photos, some tens a class, or remove the class",
        )
    for part in ("train", "val"):
        if not dataset.parts[part]:
            raise InputError(f"no {part} photos", where=where, fix=f"add photos to {part}")


def _copies(parts: Mapping[str, Sequence[Example]]) -> list[str]:
    """Say which photos are in two classes, and which both teach and judge."""
    labels: dict[str, set[int]] = {}
    places: dict[str, set[str]] = {}
    for part, examples in parts.items():
        for example in examples:
            labels.setdefault(example.digest, set()).add(example.label)
            places.setdefault(example.digest, set()).add(part)
    torn = sum(len(found) > 1 for found in labels.values())
    leaked = sum(len(found) > 1 and "train" in found for found in places.values())
    notes = []
    if torn:
        notes.append(f"{torn} photos lie in more than one class")
    if leaked:
        notes.append(f"{leaked} photos for training are also among those that judge")
    return notes
