"""Photos to batches of pixels: decoded ahead on all cores, in order, in bounded memory."""

from __future__ import annotations

import dataclasses
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn.core.errors import InputError
from edgecnn.core.image import Pixels, Preprocessing, as_photo, load, prepare
from edgecnn.data.example import Example

SKIPPED_SHARE = 0.05
"""More unreadable photos than this stop the run; a single one never does."""

Decoded: TypeAlias = Pixels | InputError


@dataclasses.dataclass(frozen=True)
class Skipped:
    """A photo that could not be read."""

    path: str
    reason: str


@dataclasses.dataclass(frozen=True, eq=False)
class Batch:
    """Some prepared photos.

    Attributes:
        pixels: [N, H, W, C], uint8.
        labels: [N], int64.
        names: N names within the data.
        indices: [N], int64: positions among the reader's examples.
    """

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    names: tuple[str, ...]
    indices: npt.NDArray[np.int64]


class Reader:
    """Batches of prepared photos, in the order of the examples; can be read again.

    Pillow decodes on several threads while the caller computes; at most two batches and
    a few photos wait. Photos that can't be read are left out and listed.

    Attributes:
        skipped: What the last reading left out.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        how: Preprocessing,
        *,
        batch: int = 32,
        workers: int | None = None,
        tolerated: float = SKIPPED_SHARE,
    ) -> None:
        """Say what is read; nothing is opened yet.

        Args:
            examples: The photos.
            how: The network's preprocessing.
            batch: Photos of a batch; the last one may be smaller.
            workers: Threads; as many as there are cores by default.
            tolerated: Share of unreadable photos that doesn't stop the run, 0..1.
        """
        self.examples = examples
        self.how = how
        self.batch = batch
        self.workers = workers or os.cpu_count() or 1
        self.tolerated = tolerated
        self.skipped: list[Skipped] = []

    def __iter__(self) -> Iterator[Batch]:
        """Yield batches.

        Raises:
            InputError: more photos than tolerated (and more than one), or all, are
                unreadable.
        """
        self.skipped = []
        kept: list[int] = []
        pixels: list[Pixels] = []
        for index, decoded in enumerate(self._decoded()):
            if isinstance(decoded, InputError):
                self._skip(self.examples[index], decoded)
                continue
            kept.append(index)
            pixels.append(decoded)
            if len(kept) == self.batch:
                yield self._pack(kept, pixels)
                kept, pixels = [], []
        if kept:
            yield self._pack(kept, pixels)

    def _decoded(self) -> Iterator[Decoded]:
        """Yield each example's pixels, in order, while later ones are being decoded."""
        waiting: deque[Future[Decoded]] = deque()
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="photos")
        try:
            for example in self.examples:
                waiting.append(pool.submit(_decode, example, self.how))
                if len(waiting) > 2 * self.batch + self.workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _skip(self, example: Example, error: InputError) -> None:
        self.skipped.append(Skipped(_place(example), error.what))
        total = len(self.examples)
        if len(self.skipped) <= max(1, self.tolerated * total) and len(self.skipped) < total:
            return
        first = self.skipped[0]
        raise InputError(
            f"{len(self.skipped)} unreadable of {total} photos (first: {first.reason})",
            where=first.path,
            fix="remove or repair them",
        ) from error

    def _pack(self, kept: list[int], pixels: list[Pixels]) -> Batch:
        chosen = [self.examples[index] for index in kept]
        return Batch(
            pixels=np.stack(pixels),
            labels=np.array([example.label for example in chosen], np.int64),
            names=tuple(example.name for example in chosen),
            indices=np.array(kept, np.int64),
        )


def _decode(example: Example, how: Preprocessing) -> Decoded:
    try:
        if isinstance(example.image, Path):
            return load(example.image, how)
        return prepare(as_photo(example.image, channels=how.channels), how)
    except InputError as error:
        return error


def _place(example: Example) -> str:
    return str(example.image) if isinstance(example.image, Path) else example.name
