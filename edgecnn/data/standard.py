"""Small public data sets by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecnn.core.errors import MissingExtra
from edgecnn.data.dataset import Given
from edgecnn.data.example import Example


def digits() -> Given:
    """Return scikit-learn's 1,797 handwritten digits, 8×8, grey.

    Source: Alpaydin and Kaynak 1998, UCI machine learning repository.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise MissingExtra("the data set digits", "train") from None
    data = load_digits()
    pixels = np.rint(data.images * (255 / 16)).astype(np.uint8)
    names = tuple(str(name) for name in data.target_names)
    return Given(
        source="digits", classes=names, parts={"all": _examples(pixels, data.target, names)}
    )


def mnist() -> Given:
    """Return MNIST."""
    raise NotImplementedError


def fashion_mnist() -> Given:
    """Return Fashion-MNIST."""
    raise NotImplementedError


def cifar10() -> Given:
    """Return CIFAR-10."""
    raise NotImplementedError


def _examples(
    pixels: npt.NDArray[np.uint8], labels: npt.NDArray[Any], classes: Sequence[str], part: str = ""
) -> list[Example]:
    return [
        Example(f"{part}{classes[label]}/{index:05}", int(label), image)
        for index, (image, label) in enumerate(zip(pixels, labels, strict=True))
    ]
