"""Small examples for the tests of this room."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecnn.data import Example


@pytest.fixture(scope="session")
def arrays() -> Callable[..., list[Example]]:
    """Makes so many different examples of each class, in memory: ``arrays(20, 12)``."""

    def make(*per_class: int, first: int = 0) -> list[Example]:
        return [
            Example(f"{label}/{index}", label, _stamp(label, index, first))
            for label, count in enumerate(per_class)
            for index in range(count)
        ]

    return make


def _stamp(*numbers: int) -> np.ndarray:
    return np.array([*numbers, 0], np.uint32).view(np.uint8).reshape(4, 4)


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder of small, different photos: ``make_folder(cats=10, dogs=3)``."""

    def make(under: str = "photos", **per_class: int) -> Path:
        path = tmp_path / under
        for place, (name, count) in enumerate(per_class.items()):
            (path / name).mkdir(parents=True, exist_ok=True)
            for index in range(count):
                colour = (len(under) + 20 * place, index % 256, index // 256)
                Image.new("RGB", (8, 8), colour).save(path / name / f"{index:03}.png")
        return path

    return make
