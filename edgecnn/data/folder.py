"""Folders of photos: one sub-folder a class, whole or already split."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from edgecnn.core.errors import InputError
from edgecnn.core.image import EXTENSIONS
from edgecnn.data.dataset import Given
from edgecnn.data.example import Example

_PART_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}


def read_folder(path: Path) -> Given:
    """List the photos of a folder; no photo is decoded.

    The classes are the names of the sub-folders, sorted. Photos may lie deeper inside
    them. Hidden files and files that are no photos by their name don't count.

    Raises:
        InputError: no such folder, no class folders, a class folder without photos, or a
            folder that came split and whose train part lacks a class of another part.
    """
    if not path.is_dir():
        what = "a file instead of a folder" if path.exists() else "no such folder"
        raise InputError(what, where=path, fix="check the path to your photos")
    parts = _parts(path)
    listed = {part: _classes(folder) for part, folder in parts.items()}
    names = sorted({name for classes in listed.values() for name in classes})
    _check_parts(path, {part: set(classes) for part, classes in listed.items()})
    labels = {name: label for label, name in enumerate(names)}
    return Given(
        source=str(path.resolve()),
        classes=tuple(names),
        parts={
            part: [
                Example(photo.relative_to(path).as_posix(), labels[name], photo)
                for name, photos in classes.items()
                for photo in photos
            ]
            for part, classes in listed.items()
        },
    )


def _parts(path: Path) -> dict[str, Path]:
    """Return the folders of the parts, or the folder itself as "all"."""
    found: dict[str, Path] = {}
    for child in _folders(path):
        part = _PART_NAMES.get(child.name.lower())
        if part and _folders(child):
            found[part] = child
    return found if len(found) >= 2 else {"all": path}


def _classes(path: Path) -> dict[str, list[Path]]:
    """Return class name to photos.

    Raises:
        InputError: no class folder, or one without photos.
    """
    folders = _folders(path)
    if not folders:
        loose = sum(_is_photo(child) for child in path.iterdir())
        what = f"{loose} photos, but no class folders" if loose else "no class folders"
        raise InputError(what, where=path, fix="make one folder a class, with its photos inside")
    classes = {folder.name: sorted(_photos(folder)) for folder in folders}
    if empty := [name for name, photos in classes.items() if not photos]:
        raise InputError(
            f"no photos of {', '.join(empty[:5])}",
            where=path,
            fix=f"add {', '.join(sorted(EXTENSIONS))} files or remove the folder",
        )
    return classes


def _check_parts(path: Path, classes: dict[str, set[str]]) -> None:
    for part in classes.keys() - {"train"}:
        if "train" in classes and (strange := sorted(classes[part] - classes["train"])):
            raise InputError(
                f"photos of {', '.join(strange[:5])} in {part} but none in train",
                where=path,
                fix="name the class folders alike in each part",
            )


def _folders(path: Path) -> list[Path]:
    return sorted(
        child
        for child in path.iterdir()
        if child.is_dir() and not child.name.startswith((".", "__"))
    )


def _photos(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from filter(_is_photo, (Path(place, name) for name in names))


def _is_photo(path: Path) -> bool:
    return path.suffix.lower() in EXTENSIONS and not path.name.startswith(".") and path.is_file()
