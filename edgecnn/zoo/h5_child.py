"""Read the weights of a Keras HDF5 file; run as a script, in a process of its own.

    python h5_child.py FILE > weights.npz

HDF5 is native code, and a file made with ill will can crash it: only this process dies.
The answer is an npz archive: "names", and one array for each of them, in order. A name is
"<layer>|<index of the weight>". Links are not followed, so nothing leaves the file.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

LIMIT_BYTES = 1_000_000_000
_DEPTH_LIMIT = 4


def main() -> int:
    """Write the archive to stdout, or one line to stderr."""
    try:
        with h5py.File(sys.argv[1], "r") as file:
            weights = dict(_limited(_weights(file)))
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    buffer = io.BytesIO()
    arrays = {str(index): array for index, array in enumerate(weights.values())}
    np.savez(buffer, allow_pickle=False, names=np.array(list(weights), dtype=str), **arrays)
    sys.stdout.buffer.write(buffer.getvalue())
    return 0


def _weights(file: h5py.File) -> Iterator[tuple[str, h5py.Dataset]]:
    root = _group(file, "model_weights") if "model_weights" in file else file
    if "layer_names" in root.attrs:
        yield from _legacy(root)
    elif "layers" in root:
        yield from _keras3(_group(root, "layers"), prefix="", depth=0)
    else:
        raise ValueError("HDF5 without Keras weights")


def _legacy(root: h5py.Group) -> Iterator[tuple[str, h5py.Dataset]]:
    """Read the format of Keras 1 and 2: attributes list the layers and their weights."""
    for layer in _texts(root.attrs["layer_names"]):
        group = _group(root, layer)
        for index, name in enumerate(_texts(group.attrs["weight_names"])):
            *folders, last = name.split("/")
            holder = group
            for folder in folders:
                holder = _group(holder, folder)
            yield f"{layer}|{index}", _child(holder, last)


def _keras3(layers: h5py.Group, *, prefix: str, depth: int) -> Iterator[tuple[str, h5py.Dataset]]:
    """Read the format of Keras 3: a group a layer, numbered within the layer's class."""
    if depth > _DEPTH_LIMIT:
        raise ValueError("models nested too deeply")
    for layer in sorted(layers, key=_class_and_number):
        group = _group(layers, layer)
        if "layers" in group:
            inner = _group(group, "layers")
            yield from _keras3(inner, prefix=f"{prefix}{layer}/", depth=depth + 1)
        elif "vars" in group:
            variables = _group(group, "vars")
            for name in sorted(variables, key=int):
                yield f"{prefix}{layer}|{name}", _child(variables, name)


def _class_and_number(name: str) -> tuple[str, int]:
    head, _, tail = name.rpartition("_")
    return (head, int(tail)) if head and tail.isdigit() else (name, 0)


def _group(parent: h5py.Group, name: str) -> h5py.Group:
    group = _child(parent, name)
    if not isinstance(group, h5py.Group):
        raise ValueError(f"{name!r} is not a group")
    return group


def _child(group: h5py.Group, name: str) -> Any:
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"no {name!r} inside the file")
    return group[name]


def _limited(
    weights: Iterator[tuple[str, h5py.Dataset]],
) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    total = 0
    for name, dataset in weights:
        if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.external:
            raise ValueError(f"{name} is not stored in the file")
        if dataset.dtype.kind not in "fiu":
            raise ValueError(f"{name} holds no numbers")
        total += dataset.nbytes
        if total > LIMIT_BYTES:
            raise ValueError("more than 1 GB of weights")
        yield name, np.asarray(dataset[()], np.float32)


def _texts(values: Any) -> list[str]:
    return [v.decode() if isinstance(v, bytes) else str(v) for v in values]


if __name__ == "__main__":
    sys.exit(main())
