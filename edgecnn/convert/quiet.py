"""Silence for converters that print from native code."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hide what TensorFlow's native code prints while it converts; errors still raise."""
    logger = logging.getLogger("absl")
    level = logger.level
    sys.stderr.flush()
    saved = os.dup(2)
    with open(os.devnull, "wb") as null:  # noqa: PTH123 - a descriptor is needed, not a path
        os.dup2(null.fileno(), 2)
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        logger.setLevel(level)
