"""Which layer of a model gets which arrays of a file: in order, or by name; all or nothing."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import keras
import numpy as np
import numpy.typing as npt
from keras import layers

from edgecnn.zoo.convention import Convention
from edgecnn.zoo.torch_file import Tensors

Array: TypeAlias = npt.NDArray[np.float32]
Shape: TypeAlias = tuple[int, ...]
Found: TypeAlias = dict[str, list[Array]]
"""A layer's name to its arrays, in Keras's order and layout."""

_BLOCK = re.compile(r"(?:stage\d+_)?block\d+")
# What torch calls a layer's arrays, in Keras's order.
_ROLES = {"weight": 0, "bias": 1, "running_mean": 2, "running_var": 3}
_NOT_A_WEIGHT = "num_batches_tracked"


@dataclasses.dataclass(frozen=True, eq=False)
class FileLayer:
    """One layer's arrays, in Keras's order and layout, and its name in the file."""

    name: str
    arrays: tuple[Array, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Named:
    """A torch file's tensors, in torch's layout, and the convention of their names."""

    tensors: Tensors
    convention: Convention


def in_order(model: keras.Model, given: Iterable[FileLayer], *, head: tuple[str, ...]) -> Found:
    """Give each layer the file's next one of its kind.

    Layers of a kind that the model has none of (a normalization) are left out.

    Args:
        model: A classifier.
        given: The file's layers; those of a kind in the model's order.
        head: The layers with weights after the model's body, the logits last; those that the
            file lacks altogether are not in the answer.

    Raises:
        ValueError: the first layer that the file lacks, or the model.
    """
    wanted = [layer for layer in model.layers if layer.weights]
    queues: dict[str, list[FileLayer]] = {}
    for item in _with_dense_classifier(list(given), wanted):
        queues.setdefault(_kind(_shapes(item.arrays)), []).append(item)
    without = _absent(wanted, queues, head)
    found: Found = {}
    for layer in wanted:
        if layer.name not in without:
            queue = queues.get(_kind(_shapes(layer.weights)))
            if not queue:
                raise ValueError(f"layer {layer.name}: file has no weights for it")
            found[layer.name] = list(queue.pop(0).arrays)
            if layer.name not in head[-1:]:  # whose classes may be others
                _compare(layer, found[layer.name])
    for kind in {_kind(_shapes(layer.weights)) for layer in wanted}:
        if queues.get(kind):
            raise ValueError(f"layer {queues[kind][0].name}: not in the model")
    return found


def _absent(
    wanted: list[keras.Layer], queues: dict[str, list[FileLayer]], head: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the layers of the head that the file is without: none, the last, or all."""

    def missing(without: tuple[str, ...]) -> int:
        kinds = [_kind(_shapes(layer.weights)) for layer in wanted if layer.name not in without]
        return sum(max(0, kinds.count(kind) - len(queues.get(kind, []))) for kind in set(kinds))

    return min(((), head[-1:], head), key=missing)


def _with_dense_classifier(given: list[FileLayer], wanted: list[keras.Layer]) -> list[FileLayer]:
    """Turn the last 1x1 convolutions of a file without dense layers into dense ones.

    Keras's MobileNets V1 and V3 have such a classifier.
    """
    kinds = [_kind(_shapes(item.arrays)) for item in given]
    ours = [_kind(_shapes(layer.weights)) for layer in wanted]
    dense, surplus = ours.count("dense"), kinds.count("convolution") - ours.count("convolution")
    if "dense" in kinds or dense == 0 or surplus != dense:
        return given
    last = [at for at, kind in enumerate(kinds) if kind == "convolution"][-dense:]
    return [
        FileLayer(item.name, (_as_matrix(item.arrays[0]), *item.arrays[1:])) if at in last else item
        for at, item in enumerate(given)
    ]


def _as_matrix(kernel: Array) -> Array:
    return kernel[0, 0] if kernel.shape[:2] == (1, 1) else kernel


def by_name(model: keras.Model, given: Named) -> Found:
    """Give each layer the tensors that a convention's names say.

    Layers that the file lacks are not in the answer.

    Raises:
        ValueError: a name of the file that stands for no layer of the model, or a layer with
            too few or too many arrays.
    """
    convention = given.convention
    kept = {n: array for n, array in given.tensors.items() if not n.endswith(_NOT_A_WEIGHT)}
    targets = _targets({name.rpartition(".")[0] for name in kept}, model, convention)
    slots: dict[str, dict[int, Array]] = {}
    for name, array in kept.items():
        module, _, role = name.rpartition(".")
        layer, _, offset = targets.get(module, "").partition("/")
        if not layer or role not in _ROLES:
            raise ValueError(f"layer {module or name}: not in the model")
        slots.setdefault(layer, {})[_ROLES[role] + int(offset or 0)] = array
    found = {}
    for layer in model.layers:
        arrays = slots.get(layer.name)
        if arrays is not None:
            found[layer.name] = list(_in_keras_layout(layer, arrays, convention.epsilon))
    return found


def _targets(modules: set[str], model: keras.Model, convention: Convention) -> dict[str, str]:
    """Return our name of each of the file's layers; what is no layer of ours is left out."""
    targets, parts = {}, dict[tuple[int, ...], dict[str, str]]()
    for module in modules:
        if name := _translated(module, convention.names):
            targets[module] = name
        elif match := re.match(rf"{convention.block}\.(?=.)", module):
            number = tuple(int(group) for group in match.groups())
            parts.setdefault(number, {})[module[match.end() :]] = module
    ours = [layer.name for layer in model.layers if layer.weights]
    blocks = list(dict.fromkeys(found.group() for name in ours if (found := _BLOCK.match(name))))
    for number, block in zip(sorted(parts), blocks[convention.skip :], strict=False):
        table = next((t for part, t in convention.parts if part in parts[number]), {})
        for part, module in parts[number].items():
            if part in table:
                targets[module] = f"{block}_{table[part]}"
    return {module: name for module, name in targets.items() if name.partition("/")[0] in ours}


def _translated(module: str, names: dict[str, str]) -> str | None:
    return next((ours for theirs, ours in names.items() if re.fullmatch(theirs, module)), None)


def _in_keras_layout(
    layer: keras.Layer, slots: dict[int, Array], epsilon: float
) -> Iterator[Array]:
    """Yield a layer's arrays, turned from torch's layout; a batch norm's for our epsilon."""
    is_norm = (
        isinstance(layer, layers.BatchNormalization) and len(set(_shapes(slots.values()))) == 1
    )
    is_separable = isinstance(layer, layers.SeparableConv2D)
    for place, array in sorted(slots.items()):
        if is_norm and place == 0 and len(slots) == len(_ROLES):
            # gamma / sqrt(variance + epsilon) stays what it was.
            variance = slots[3].astype(np.float64)
            with np.errstate(all="ignore"):  # what is no number is refused by its layer's name
                ratio = np.sqrt((variance + layer.epsilon) / (variance + epsilon))
                yield (array * ratio).astype(np.float32)
        elif array.ndim > 4:
            yield array
        elif array.ndim == 4 and (
            isinstance(layer, layers.DepthwiseConv2D) or (is_separable and place == 0)
        ):
            yield array.transpose(2, 3, 0, 1)
        elif isinstance(layer, layers.Dense) and array.ndim > 1:
            yield (array[:, :, 0, 0] if array.shape[2:] == (1, 1) else array).T
        elif isinstance(layer, layers.Conv2D | layers.SeparableConv2D) and array.ndim > 1:
            yield array.reshape((*array.shape, 1, 1)[:4]).transpose(2, 3, 1, 0)
        else:
            yield array


def check(model: keras.Model, found: Found, *, optional: tuple[str, ...] = ()) -> None:
    """Make sure that what was found fits, but for layers that may stay as they are.

    Raises:
        ValueError: the first layer that differs, or holds no finite numbers.
    """
    for layer in model.layers:
        if not layer.weights or (layer.name not in found and layer.name in optional):
            continue
        if layer.name not in found:
            raise ValueError(f"layer {layer.name}: file has no weights for it")
        _compare(layer, found[layer.name])


def _compare(layer: keras.Layer, arrays: list[Array]) -> None:
    for theirs, ours in itertools.zip_longest(_shapes(arrays), _shapes(layer.weights)):
        if theirs != ours:
            said = f"file has {theirs or 'nothing'}, model has {ours or 'nothing'}"
            raise ValueError(f"layer {layer.name}: {said}")
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError(f"layer {layer.name}: file has values that are not finite")
    if isinstance(layer, layers.BatchNormalization) and arrays[-1].min(initial=0.0) < 0:
        raise ValueError(f"layer {layer.name}: file has a variance below zero")


def _shapes(arrays: Iterable[Any]) -> list[Shape]:
    return [tuple(array.shape) for array in arrays]


def _kind(shapes: list[Shape]) -> str:
    """Tell a layer's kind from its shapes: all that every format has in common."""
    match [len(shape) for shape in shapes]:
        case [1, 1, 1, 1] | [1, 1, 1]:
            return "batch norm"
        case [4, 4] | [4, 4, 1]:
            return "separable convolution"
        case [4] | [4, 1]:
            is_depthwise = shapes[0][3] == 1 and shapes[0][0] > 1
            return "depthwise convolution" if is_depthwise else "convolution"
        case [2] | [2, 1]:
            return "dense"
        case _:
            return "other"
