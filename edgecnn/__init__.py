"""From a folder of photos to a small, fast, verified image model on a device."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"


def build(
    name: str,
    *,
    classes: int,
    size: int | None = None,
    channels: int = 3,
    alpha: float = 1.0,
    weights: str = "none",
) -> Any:
    """Make a classifier: a Keras model from pixels 0..255 to probabilities.

    Args:
        name: An architecture of ``edgecnn zoo``.
        classes: Two or more.
        size: Side of the square input, pixels; None is the architecture's own.
        channels: 3, or 1 for grey photos.
        alpha: Multiple of the paper's channels.
        weights: "none", "imagenet" or a file; they fill the last layer too where they are for
            as many classes.

    Returns:
        A ``keras.Model``, [N, size, size, channels] to [N, classes], float32.

    Raises:
        InputError: an architecture, size, alpha or weights that don't exist.
        MissingExtra: TensorFlow is not installed.
    """
    from edgecnn.flows.making import make_classifier

    return make_classifier(
        name, classes=classes, size=size, channels=channels, alpha=alpha, weights=weights
    )
