"""What every loaded model offers, whatever made it: pixels in, scores out."""

from __future__ import annotations

import dataclasses
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn.core.image import Pixels, Preprocessing

Scores: TypeAlias = npt.NDArray[np.float32]
"""[N, classes], float32: probabilities for a classifier; raw outputs for a foreign file."""


class Runner(Protocol):
    """One loaded model. Normalization and quantization of input and output stay inside."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the outputs, in order; empty when nobody knows them."""
        ...

    @property
    def preprocessing(self) -> Preprocessing:
        """What turns a photo into this model's pixels."""
        ...

    def run(self, batch: Pixels) -> Scores:
        """Return scores [N, classes], float32, for pixels [N, H, W, C], uint8, prepared.

        A batch, not one image: the Keras model needs it to be fast. Files run one by one.
        """
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prediction:
    """One class of an answer."""

    label: str
    index: int
    probability: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Timing:
    """Where the time of one prediction went, in milliseconds."""

    preprocess: float
    inference: float
    postprocess: float


@dataclasses.dataclass(frozen=True, eq=False)
class Answer:
    """What a model says about one image.

    Attributes:
        scores: [classes], float32.
        classes: Names in the order of the scores; the index stands in where there is none.
        timing_ms: Milliseconds of each part.
    """

    scores: npt.NDArray[np.float32]
    classes: tuple[str, ...]
    timing_ms: Timing

    def top(self, count: int = 5) -> list[Prediction]:
        """Return the best classes, best first; equal scores keep the order of the classes."""
        order = np.argsort(-self.scores, kind="stable")[:count]
        return [
            Prediction(label=self._label(int(i)), index=int(i), probability=float(self.scores[i]))
            for i in order
        ]

    def _label(self, index: int) -> str:
        return self.classes[index] if index < len(self.classes) else str(index)


class FakeRunner:
    """Answers every image with the same scores; for tests, ours and users'."""

    def __init__(
        self, scores: list[float], *, classes: tuple[str, ...] = (), size: int = 8
    ) -> None:
        self._scores = np.asarray(scores, np.float32)
        self.classes = classes or tuple(f"class{i}" for i in range(len(scores)))
        self.preprocessing = Preprocessing(height=size, width=size)

    def run(self, batch: Pixels) -> Scores:
        """Return the fixed scores once per image."""
        return np.repeat(self._scores[None], len(batch), axis=0)
