"""A published ImageNet classifier as a checkpoint, without any training."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import time
from pathlib import Path
from typing import Any

from edgecnn.core import catalogue, checkpoint, files
from edgecnn.core.catalogue import Published
from edgecnn.core.checkpoint import Card, Checkpoint
from edgecnn.core.errors import InputError, unknown
from edgecnn.core.image import Preprocessing
from edgecnn.core.memory import peak_rss_mb
from edgecnn.data import imagenet_classes
from edgecnn.flows.needs import needs

_PACKAGES = ("edgecnn", "tensorflow", "keras", "numpy", "pillow")


@dataclasses.dataclass(frozen=True)
class Pulled:
    """A checkpoint, and what is published about its weights."""

    checkpoint: Checkpoint
    weights: Published


def pull(name: str, out: Path, *, size: int | None = None, force: bool = False) -> Pulled:
    """Write a checkpoint of a published classifier of ImageNet's 1,000 classes.

    Args:
        name: A row of ``edgecnn zoo list``.
        out: The checkpoint's folder.
        size: Side of the input; None is the row's own.
        force: Take the place of an earlier checkpoint.

    Raises:
        InputError: no such row, no weights for it, or an output folder that can't be written.
        MissingExtra: TensorFlow, or the package with the weights, is not installed.
    """
    started = time.perf_counter()
    row, published = _published(name)
    files.refuse_existing(out, force=force)
    with needs("a network's weights", "train"):
        from edgecnn import zoo
    arch, alpha, classes = row["arch"], row["alpha"], imagenet_classes()
    how = _prepared(zoo.find(arch).preprocessing(size or row["size"]), published)
    weights = zoo.open_weights(arch, published.source, alpha=alpha, size=how.height)
    model = zoo.pretrained(arch, len(classes), shape=how.shape, alpha=alpha, weights=weights)
    cost = zoo.cost(model)
    card = Card(
        name=out.resolve().name,
        task="classify",
        classes=classes,
        arch=arch,
        alpha=alpha,
        preprocessing=how,
        normalization=weights.normalization or zoo.find(arch).normalization,
        padding=weights.padding,
        weights=weights.label,
        params=cost.params,
        macs=cost.macs,
        recipe={"pull": name, "size": how.height},
        data=None,
        phases=(),
        history=(),
        scores=(),
        seconds=time.perf_counter() - started,
        peak_rss_mb=peak_rss_mb(),
        model_sha256="",
        versions={package: importlib.metadata.version(package) for package in _PACKAGES},
    )
    written = checkpoint.write(
        out, card, save_model=lambda path: zoo.save_model(model, path), replace=force
    )
    return Pulled(written, published)


def _published(name: str) -> tuple[dict[str, Any], Published]:
    rows = {row["name"]: row for row in catalogue.read_catalogue()["architectures"]}
    if name not in rows:
        raise unknown("architecture", name, rows, where="the zoo")
    row = rows[name]
    if not row["weights"]:
        ready = [other for other, facts in rows.items() if facts["weights"]]
        raise InputError(
            "no published weights", where=name, fix=f"train it, or pull {', '.join(ready[:3])}, ..."
        )
    return row, catalogue.published(row["arch"])[row["alpha"]]


def _prepared(how: Preprocessing, weights: Published) -> Preprocessing:
    """Return how photos were prepared for the published accuracy."""
    return dataclasses.replace(
        how, crop=weights.crop or how.crop, filter=weights.filter or how.filter
    )
