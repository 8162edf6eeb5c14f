"""Reach a room whose packages may be absent: the name imports, the use explains."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from edgecnn.core.errors import MissingExtra


@contextlib.contextmanager
def needs(task: str, extra: str) -> Iterator[None]:
    """Turn a missing package inside the block into the ``pip install`` that brings it.

    Raises:
        MissingExtra: a package that is not ours is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "edgecnn":
            raise
        raise MissingExtra(task, extra) from error
