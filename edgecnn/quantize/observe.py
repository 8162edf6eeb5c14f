"""What the activations of a float network do on calibration photos, in bounded memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]


@dataclasses.dataclass
class Observed:
    """One tensor over all photos so far.

    Attributes:
        low: Smallest value.
        high: Largest value.
        total: Sum over the photos, float64, the tensor's own shape.
        photos: Number of photos.
    """

    low: float
    high: float
    total: Array
    photos: int = 1

    @property
    def mean(self) -> Array:
        """The mean over the photos, position by position: the tensor's own shape."""
        return self.total / self.photos


class Observer:
    """Keeps range and mean of named tensors; memory is one copy of each tensor."""

    def __init__(self) -> None:
        self.tensors: dict[str, Observed] = {}

    def add(self, values: Mapping[str, Array]) -> None:
        """Take in the tensors of one photo."""
        for name, value in values.items():
            low, high = float(value.min()), float(value.max())
            seen = self.tensors.get(name)
            if seen is None:
                self.tensors[name] = Observed(low, high, value.astype(np.float64))
                continue
            seen.low, seen.high = min(seen.low, low), max(seen.high, high)
            seen.total += value
            seen.photos += 1
