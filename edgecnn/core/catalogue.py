"""What the zoo offers, from the plain data that ships with the package: no TensorFlow."""

from __future__ import annotations

import importlib.util
import os
import tomllib
from pathlib import Path
from typing import Any

from edgecnn.core import shipped

_CATALOGUE = "catalogue.toml"
_ARCHITECTURE_KEYS = (
    "name",
    "family",
    "params",
    "macs",
    "size",
    "weights",
    "int8_notes",
    "arch",
    "alpha",
    "paper",
)


def read_catalogue() -> dict[str, list[dict[str, Any]]]:
    """Return what ``zoo list --json`` prints.

    Returns:
        "architectures", one row a variant, to be trained with ``--arch`` and ``--alpha`` as
        the row has them; "devices" and "recipes", one row a file. Weights are "available"
        where they are installed, or are downloaded at first use; "on_disk" tells which.
    """
    models = shipped.folder("models")
    rows = _read(models / _CATALOGUE)["architecture"]
    recipes = sorted(path for path in models.glob("*.toml") if path.name != _CATALOGUE)
    return {
        "architectures": [_architecture(row) for row in rows],
        "devices": [_entry(path) for path in sorted(shipped.folder("devices").glob("*.toml"))],
        "recipes": [{**_entry(path), "path": str(path)} for path in recipes],
    }


def _architecture(row: dict[str, Any]) -> dict[str, Any]:
    weights = [_weights(entry) for entry in row["weights"]]
    return {key: row[key] for key in _ARCHITECTURE_KEYS} | {"weights": weights}


def _weights(entry: dict[str, Any]) -> dict[str, Any]:
    if "package" in entry:
        on_disk = available = importlib.util.find_spec(entry["package"]) is not None
    else:
        on_disk, available = (_downloads() / entry["file"]).is_file(), True
    kept = {key: entry[key] for key in ("source", "top1", "top1_source", "licence", "how")}
    return {**kept, "available": available, "on_disk": on_disk}


def _downloads() -> Path:
    """Return where Keras keeps downloaded weights, unless the user chose another place."""
    chosen = os.environ.get("EDGECNN_CACHE") or os.environ.get("KERAS_HOME")
    return Path(chosen or Path.home() / ".keras") / "models"


def _entry(path: Path) -> dict[str, Any]:
    return {"name": path.stem, **_read(path)}


def _read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))
