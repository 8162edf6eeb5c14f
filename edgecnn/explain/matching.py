"""Which tensor of a file stands for which layer of the float network: by name, else by values."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]

# With less signal than twice the error's amplitude two tensors are not called the same; a name
# that says so is believed down to equal amplitudes.
_LEAST_DB = 6.0
_LEAST_NAMED_DB = 0.0
# Of one tensor on one photo: enough to tell tensors apart.
_SAMPLED = 4096
# Behind a name, the form in which a tensor is there; ONNX counts a node's outputs.
_FORMS = ("/real", "/int8", "/integers", "/exact", "/bytes", "_quantized", ":0")


@dataclasses.dataclass(frozen=True)
class Twin:
    """A file's tensor.

    Attributes:
        name: In the file.
        found: How.
        in_planes: It is [N, C, H, W] where the float network has [N, H, W, C].
    """

    name: str
    found: Literal["name", "values"]
    in_planes: bool

    def arranged(self, value: Array) -> Array:
        """Return the file's values in the float network's order, flat."""
        return _arranged(value, in_planes=self.in_planes)


def match(
    ours: Sequence[Mapping[str, Array]], theirs: Sequence[Mapping[str, Array]]
) -> dict[str, Twin]:
    """Return the file's tensor for each of the float network's that has one.

    Args:
        ours: The float network's activations, in order, one mapping a photo.
        theirs: The file's on the same photos, in real values.
    """
    exact = {name: _sampled([photo[name] for photo in ours]) for name in ours[0]}
    made = {
        (name, in_planes): _sampled([_arranged(p[name], in_planes=in_planes) for p in theirs])
        for name, value in theirs[0].items()
        for in_planes in _layouts(value)
    }
    found = _by_name(exact, made)
    taken = {twin.name for twin in found.values()}
    pairs = [
        (-quality, at, name, key)
        for at, name in enumerate(exact)
        if name not in found
        for key, value in made.items()
        if key[0] not in taken and theirs[0][key[0]].size == ours[0][name].size
        and (quality := _decibels(exact[name], value)) >= _LEAST_DB
    ]  # fmt: skip
    # A tensor that looks like several layers goes to the one that it is nearest to.
    for _, _, name, (other, in_planes) in sorted(pairs):
        if name not in found and other not in taken:
            found[name] = Twin(other, "values", in_planes)
            taken.add(other)
    return found


def _by_name(exact: Mapping[str, Array], made: Mapping[tuple[str, bool], Array]) -> dict[str, Twin]:
    """Return the pairs that bear one name, and hold something of the same."""
    named: dict[str, str] = {}
    for other, _ in made:
        named.setdefault(_plain(other), other)
    found: dict[str, Twin] = {}
    for name, value in exact.items():
        other = named.pop(_plain(name), "")
        quality, in_planes = _best_layout(value, other, made)
        if quality >= _LEAST_NAMED_DB:
            found[name] = Twin(other, "name", in_planes)
    return found


def _best_layout(
    exact: Array, name: str, made: Mapping[tuple[str, bool], Array]
) -> tuple[float, bool]:
    qualities = [
        (_decibels(exact, made[name, in_planes]), in_planes)
        for in_planes in (False, True)
        if (name, in_planes) in made
    ]
    return max(qualities, default=(-np.inf, False))


def _plain(name: str) -> str:
    for form in _FORMS:
        name = name.removesuffix(form)
    return name


def _layouts(value: Array) -> Iterator[bool]:
    yield False
    if value.ndim == 4 and value.shape[1] > 1 and value.shape[2] * value.shape[3] > 1:
        yield True


def _arranged(value: Array, *, in_planes: bool) -> Array:
    return (value.transpose(0, 2, 3, 1) if in_planes else value).reshape(-1)


def _sampled(values: Sequence[Array]) -> Array:
    """Return some of the values of each photo, always from the same places."""
    flat = [value.reshape(-1) for value in values]
    places = np.linspace(0, flat[0].size - 1, min(flat[0].size, _SAMPLED)).astype(np.int64)
    return np.concatenate([value[places].astype(np.float64) for value in flat])


def _decibels(exact: Array, made: Array) -> float:
    if exact.shape != made.shape:
        return -np.inf
    signal, error = float(np.vdot(exact, exact)), float(np.sum(np.square(made - exact)))
    if not signal:
        return -np.inf
    return float(10 * np.log10(signal / max(error, 1e-12 * signal)))
