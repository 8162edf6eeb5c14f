"""A model that really looks at the photos, without any runtime."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn.core.artifact import FileOutput
from edgecnn.core.image import Pixels, Preprocessing
from edgecnn.core.runner import Scores
from edgecnn.data import Example

COLOURS = ("blue", "green", "red")


class ColourModel:
    """Answers the strongest colour channel; a softmax over the channels' means.

    Stands for a trained network: it is right on the photos of ``photo_folder``.
    """

    classes = COLOURS
    preprocessing = Preprocessing(height=16, width=16)
    output = FileOutput(dtype="float32")

    def __init__(self, temperature: float = 20.0) -> None:
        self.temperature = temperature
        self.batches = 0

    def run(self, batch: Pixels) -> Scores:
        self.batches += 1
        means = batch.mean(axis=(1, 2))[:, ::-1] / self.temperature
        raised = np.exp(means - means.max(axis=1, keepdims=True))
        return (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)


class RoundedModel(ColourModel):
    """The same with outputs in steps of 1/256, as an int8 file has them."""

    output = FileOutput(dtype="int8", scale=1 / 256, zero_point=-128)

    def run(self, batch: Pixels) -> Scores:
        return (np.rint(super().run(batch) * 256).clip(0, 255) / 256).astype(np.float32)


@pytest.fixture
def model() -> ColourModel:
    """A float model that is right on every photo of ``photo_folder``."""
    return ColourModel()


@pytest.fixture
def rounded() -> RoundedModel:
    """The same model as an integer file would answer."""
    return RoundedModel()


@pytest.fixture
def examples(photo_folder) -> list[Example]:
    """The photos of ``photo_folder`` with the model's labels."""
    return [
        Example(photo.relative_to(photo_folder).as_posix(), COLOURS.index(photo.parent.name), photo)
        for photo in sorted(photo_folder.rglob("*.jpg"))
    ]
