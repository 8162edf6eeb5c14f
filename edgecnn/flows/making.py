"""One call from a name to a classifier, for Python."""

from __future__ import annotations

from typing import Any

from edgecnn.flows.needs import needs


def make_classifier(
    name: str, *, classes: int, size: int | None, channels: int, alpha: float, weights: str
) -> Any:
    """See `edgecnn.build`."""
    with needs("building a network", "train"):
        from edgecnn import zoo
    shape = zoo.find(name).preprocessing(size, channels=channels).shape
    start = zoo.open_weights(name, weights, alpha=alpha, size=size)
    return zoo.classifier(name, classes, shape=shape, alpha=alpha, weights=start)
