"""One labelled photo, and the hash by which it is known again under any name."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edgecnn.core import files
from edgecnn.core.image import Pixels
from edgecnn.core.progress import bar


@dataclasses.dataclass(frozen=True, eq=False)
class Example:
    """One photo and its class.

    Attributes:
        name: The photo's name within its data, "cats/001.jpg".
        label: Index of its class; -1 where nobody knows it.
        image: The file, or pixels [H, W] or [H, W, C], uint8.
    """

    name: str
    label: int
    image: Path | Pixels

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the content, hexadecimal: the same photo has the same one anywhere."""
        if not isinstance(self.image, Path):
            head = repr(self.image.shape).encode()
            return hashlib.sha256(head + self.image.tobytes()).hexdigest()
        try:
            return files.sha256(self.image)
        except OSError:  # gone or locked: the reader will skip it, and says so
            return hashlib.sha256(self.name.encode()).hexdigest()

    def relabelled(self, label: int) -> Example:
        """Return the same photo with another label; its digest is not computed again."""
        other = Example(self.name, label, self.image)
        if "digest" in vars(self):
            vars(other)["digest"] = self.digest
        return other


def read_digests(examples: Sequence[Example]) -> None:
    """Hash all photos ahead, on several threads; files are read once, whole."""
    with bar("Reading photos", total=len(examples)) as advance, ThreadPoolExecutor() as pool:
        for _ in pool.map(lambda example: example.digest, examples, chunksize=64):
            advance()
