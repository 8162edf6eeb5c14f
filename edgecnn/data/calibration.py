"""The photos that set the ranges of an integer model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from edgecnn.core.artifact import Calibration
from edgecnn.data.example import Example
from edgecnn.data.split import interleaved


def calibration_photos(
    examples: Sequence[Example], *, count: int, seed: int
) -> tuple[list[Example], Calibration]:
    """Draw photos, every class among them where ``count`` allows, and note which.

    The draw depends on the photos' contents and the seed alone, and a larger count adds
    to a smaller one. The hash in the note is over the drawn contents, sorted.

    Raises:
        ValueError: there is no photo, or a count below one.
    """
    if count < 1 or not examples:
        raise ValueError("at least one calibration photo is needed")
    chosen = interleaved(examples, seed=seed)[:count]
    digests = "\n".join(sorted(example.digest for example in chosen))
    name = hashlib.sha256(digests.encode()).hexdigest()
    return chosen, Calibration(n=len(chosen), seed=seed, hash=name)
