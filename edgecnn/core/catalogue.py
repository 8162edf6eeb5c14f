"""What the zoo offers, from the plain data that ships with the package: no TensorFlow."""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import json
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.core import shipped

if TYPE_CHECKING:
    from edgecnn.core.image import Filter

_CATALOGUE = "catalogue.toml"
_ARCHITECTURE_KEYS = (
    "name",
    "family",
    "params",
    "macs",
    "size",
    "weights",
    "int8",
    "int8_notes",
    "arch",
    "alpha",
    "paper",
)
_WEIGHTS_KEYS = ("source", "top1", "top1_source", "licence", "how")

# What int8 does to a network, best first.
INT8 = ("good", "care", "poor", "unknown")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Published:
    """Weights that somebody published for one row of the catalogue.

    Attributes:
        source: What ``--weights`` calls them: "imagenet".
        top1: Share of right answers on ImageNet's validation part, as published.
        top1_source: Who says so.
        licence: Of the weights.
        how: Where they come from, in words.
        file: Name in the cache; ``{size}`` stands for the size that they were trained at.
            Inside a package: its path there.
        url: Folder that it is downloaded from; empty for a package.
        remote: Its name in that folder, where that is another one.
        package: The installed package that has it; empty for a download.
        hash: "md5:...", "sha256:..." (perhaps only its first digits, as published), or
            "announced" by the server; empty where none was published.
        sizes: Sides of the input for which there are files of their own.
        only_at: Sides of the input at which all of it fits, where the head is tied to one.
        body: Name of the file without the head, for other sizes, and its hash.
        crop: Central share of a photo that the published top-1 was measured on; None: as
            the architecture has it.
        filter: Interpolation of that measurement; None: as the architecture has it.
    """

    source: str
    top1: float
    top1_source: str
    licence: str
    how: str
    file: str
    url: str = ""
    remote: str = ""
    package: str = ""
    hash: str = ""
    sizes: tuple[int, ...] = ()
    only_at: int = 0
    body: tuple[str, str] = ("", "")
    crop: float | None = None
    filter: Filter | None = None

    def at(self, size: int) -> Published:
        """Return the file for one size of input: trained at the nearest, or the body alone.

        Those trained at the nearest size know best how large things look.
        """
        if self.only_at and size != self.only_at:
            return dataclasses.replace(self, file=self.body[0], hash=self.body[1], only_at=0)
        if not self.sizes:
            return self
        nearest = min(self.sizes, key=lambda side: abs(side - size))
        return dataclasses.replace(self, file=self.file.format(size=nearest), sizes=())


def read_catalogue() -> dict[str, list[dict[str, Any]]]:
    """Return what ``zoo list --json`` prints.

    Returns:
        "architectures", one row a variant, to be trained with ``--arch`` and ``--alpha`` as
        the row has them; "devices" and "recipes", one row a file. Weights are "available"
        where they are installed, or are downloaded at first use; "on_disk" tells which.
    """
    models = shipped.folder("models")
    recipes = sorted(path for path in models.glob("*.toml") if path.name != _CATALOGUE)
    return {
        "architectures": [_architecture(row) for row in _rows()],
        "devices": [_entry(path) for path in sorted(shipped.folder("devices").glob("*.toml"))],
        "recipes": [_recipe(path) for path in recipes],
    }


def published(arch: str) -> dict[float, Published]:
    """Return the weights that were published for an architecture, by alpha."""
    return {
        float(row["alpha"]): _published(entry)
        for row in _rows()
        if row["arch"] == arch
        for entry in row["weights"]
    }


def published_files(arch: str) -> frozenset[str]:
    """Return the names of all files that were published for an architecture."""
    names: set[str] = set()
    for entry in published(arch).values():
        sizes = entry.sizes or (0,)
        names |= {entry.at(size).file for size in sizes} | {entry.file, entry.body[0]}
    return frozenset(names - {""})


@functools.cache
def _rows() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = _read(shipped.folder("models") / _CATALOGUE)["architecture"]
    return rows


def _published(entry: dict[str, Any]) -> Published:
    lists = {key: tuple(value) for key, value in entry.items() if isinstance(value, list)}
    return Published(**{**entry, **lists})


def _architecture(row: dict[str, Any]) -> dict[str, Any]:
    weights = [_weights(entry) for entry in row["weights"]]
    return {key: row.get(key, INT8[-1]) for key in _ARCHITECTURE_KEYS} | {"weights": weights}


def _weights(entry: dict[str, Any]) -> dict[str, Any]:
    if "package" in entry:
        on_disk = available = importlib.util.find_spec(entry["package"]) is not None
    else:
        files = [entry["file"].format(size=size) for size in entry.get("sizes", ("",))]
        on_disk, available = any((downloads() / file).is_file() for file in files), True
    kept = {key: entry[key] for key in _WEIGHTS_KEYS}
    return {**kept, "available": available, "on_disk": on_disk}


def downloads() -> Path:
    """Return where Keras keeps downloaded weights, unless the user chose another place."""
    chosen = os.environ.get("EDGECNN_CACHE") or os.environ.get("KERAS_HOME")
    return Path(chosen or Path.home() / ".keras") / "models"


def _recipe(path: Path) -> dict[str, Any]:
    """Return a recipe with what its card measured, where it was run."""
    row = {**_entry(path), "path": str(path)}
    card = path.parent / "cards" / f"{path.stem}.json"
    if not card.is_file():
        return row
    measured = json.loads(card.read_text(encoding="utf-8"))
    kept = {key: measured[key] for key in ("top1", "n", "params", "date")}
    return {**row, "measured": {**kept, "train_seconds": measured["wall_s"]["train"]}}


def _entry(path: Path) -> dict[str, Any]:
    return {"name": path.stem, **_read(path)}


def _read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))
