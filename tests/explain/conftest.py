"""One small network, its plan, and photos as it takes them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from edgecnn.core.normalization import same_for_all

NORMALIZATION = same_for_all(1 / 127.5, -1.0)


@dataclasses.dataclass(frozen=True)
class Network:
    """A float file, a plan made on it, and photos of which the first half made the plan."""

    float_file: bytes
    plan: Any
    photos: tuple[np.ndarray, ...]

    def inputs(self) -> Any:
        return iter(self.photos)


@pytest.fixture(scope="session")
def network(separable_network: Any, pictures: Any) -> Network:
    from edgecnn.export.writers import Writers

    writers = Writers(separable_network, NORMALIZATION, lambda: (p[None] for p in pictures[:32]))
    photos = tuple(NORMALIZATION.apply(picture[None]) for picture in pictures[32:])
    return Network(writers.float_tflite, writers.plan, photos)


def coarser(plan: Any, name: str, times: float) -> Any:
    """Return a plan in which the steps of one tensor's grid are so many times wider."""
    from edgecnn.quantize.grid import Grid

    tensor = plan.tensors[name]
    grid = Grid(tensor.grid.scale * times, tensor.grid.zero_point)
    changed = dataclasses.replace(tensor, low=grid.low, high=grid.high, grid=grid)
    return dataclasses.replace(plan, tensors={**plan.tensors, name: changed})
