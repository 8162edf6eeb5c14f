"""A recipe's file by its path, or by its name in the zoo."""

from __future__ import annotations

from pathlib import Path

from edgecnn.core import catalogue
from edgecnn.core.errors import unknown


def recipe_file(text: str) -> Path:
    """Return the file that a user means.

    Raises:
        InputError: neither a file nor a name in the zoo; the nearest is offered.
    """
    path = Path(text)
    if path.is_file() or path.suffix == ".toml":
        return path
    recipes = {row["name"]: Path(row["path"]) for row in catalogue.read_catalogue()["recipes"]}
    if text not in recipes:
        raise unknown("recipe", text, recipes, where="--recipe")
    return recipes[text]
