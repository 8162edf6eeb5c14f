"""Whether the board's kernels answer as this machine's do: the same images through both."""

from __future__ import annotations

import dataclasses

import numpy as np

from edgecnn.core.image import Pixels
from edgecnn.core.runner import Scores
from edgecnn.runtime.engine import Raw
from edgecnn.runtime.isolated import IsolatedModel
from edgecnn.runtime.wiring import pixel_table, to_input, to_scores

INPUTS = 24
_SEED = 20


@dataclasses.dataclass(frozen=True)
class Asked:
    """Images as the file takes them, and this machine's scores.

    Attributes:
        tensors: [N, 1, ...], of the file's own type.
        scores: [N, classes], float32.
    """

    tensors: Raw
    scores: Scores


@dataclasses.dataclass(frozen=True, kw_only=True)
class Agreement:
    """The board's answers against this machine's.

    Attributes:
        inputs: How many images.
        agreement_pct: Of them with the same best class.
        max_abs_diff: Largest difference of a score.
        finite: Neither NaN nor infinity there.
        reference: What ran here.
    """

    inputs: int
    agreement_pct: float
    max_abs_diff: float
    finite: bool
    reference: str


def seeded_inputs(model: IsolatedModel) -> Asked:
    """Return the same smooth images each time, and what the model says of them here."""
    how = model.preprocessing
    return asked(model, images(INPUTS, (how.height, how.width, how.channels)))


def images(count: int, shape: tuple[int, ...]) -> Pixels:
    """Make images [N, H, W, C], uint8, with the large shapes and the small noise of photos."""
    rng = np.random.default_rng(_SEED)
    height, width, channels = shape
    y, x = np.mgrid[:height, :width][:, None, :, :, None] / max(height, width)
    waves = np.zeros((count, height, width, channels))
    for strength in (60.0, 40.0, 20.0):
        size = (count, 1, 1, channels)
        rows, columns = rng.uniform(-12 / strength * 20, 12 / strength * 20, (2, *size))
        waves += strength * np.sin(rows * y + columns * x + rng.uniform(0, 2 * np.pi, size))
    waves += rng.normal(128, 40, (count, 1, 1, channels)) + rng.normal(0, 6, waves.shape)
    return waves.clip(0, 255).astype(np.uint8)


def asked(model: IsolatedModel, pixels: Pixels) -> Asked:
    """Return images [N, H, W, C], uint8, as the file takes them, with this machine's scores."""
    table = pixel_table(model.input)
    tensors = np.stack([to_input(one, table, model.input.layout) for one in pixels])
    return Asked(tensors, model.run(pixels))


def compare(asked: Asked, outputs: Raw, model: IsolatedModel) -> Agreement:
    """Compare the board's raw outputs [N, ...] with what was answered here."""
    scores = np.stack([to_scores(one, model.output) for one in outputs])
    same = scores.argmax(axis=1) == asked.scores.argmax(axis=1)
    return Agreement(
        inputs=len(scores),
        agreement_pct=float(100 * same.mean()),
        max_abs_diff=float(np.abs(scores - asked.scores).max()),
        finite=bool(np.isfinite(scores).all()),
        reference=f"{model.runtime} {model.runtime_version}",
    )
