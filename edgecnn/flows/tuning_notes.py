"""What an earlier run was asked, so that a later one knows whether its results still count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgecnn.core import files, schema
from edgecnn.core.errors import InputError


def noted(path: Path, content: dict[str, Any]) -> bool:
    """Tell whether a note says exactly this; a damaged one says nothing."""
    try:
        data = files.read_bytes(path, limit=schema.JSON_LIMIT_BYTES, kind="file")
        return bool(schema.parse(data, where=path) == content)
    except InputError:
        return False


def note(path: Path, content: dict[str, Any]) -> None:
    """Write it down.

    Raises:
        InputError: the folder can't be written.
    """
    files.write_text(path, schema.dumps(content))
