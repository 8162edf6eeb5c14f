"""Short names for the operations of a converted graph."""

from __future__ import annotations

import re
from collections.abc import Mapping

# The converter joins the names of all that it fused with semicolons; where layers have
# weights, the last of them made the operation, else the first.
_WEIGHTED = re.compile(r"convolution|depthwise|MatMul|conv2d_transpose", re.IGNORECASE)
# Freezing numbers the calls of each layer.
_NUMBER = re.compile(r"_\d+$")
_KIND = re.compile(r"(?<=.)_(?:conv|relu)$")
# ONNX counts a node's outputs; what stands behind tells in which form a tensor is there.
_OUTPUT = re.compile(r":\d+(?:/\w+)?$")

# Behind a layer's name, the form in which a file has its output.
_FORMS = ("/real", "/int8", "/integers", "/exact")


def layer_of(name: str) -> str:
    """Return the layer whose output a file has under this name, in whichever form."""
    return next((name.removesuffix(form) for form in _FORMS if name.endswith(form)), name)


def labels_of(names: Mapping[str, str]) -> dict[str, str]:
    """Return a short name for each operation, once a network.

    Args:
        names: Name of each operation's output in the file, to the operation.
    """
    found: dict[str, str] = {}
    seen: dict[str, int] = {}
    for name in names:
        label = _short(name)
        seen[label] = seen.get(label, 0) + 1
        found[name] = label
    repeated = {label for label, count in seen.items() if count > 1}
    tried = {
        # What computes keeps the layer's name, before what only moves its values.
        name: f"{label} {names[name].lower()}"
        if label in repeated and not _WEIGHTED.search(name)
        else label
        for name, label in found.items()
    }
    return _numbered(tried)


def _short(name: str) -> str:
    parts = _OUTPUT.sub("", name).split(";")
    made = next((part for part in reversed(parts) if _WEIGHTED.search(part)), parts[0])
    path = [part for part in made.split("/") if part]
    layer = path[-2] if len(path) > 1 else made
    return _KIND.sub("", _NUMBER.sub("", layer)) or name


def _numbered(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels, those that are still the same told apart by a number."""
    taken: set[str] = set()
    found = {}
    for name, label in labels.items():
        number, free = 1, label
        while free in taken:
            number += 1
            free = f"{label} {number}"
        taken.add(free)
        found[name] = free
    return found
