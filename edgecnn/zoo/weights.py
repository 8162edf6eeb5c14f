"""Where weights come from, what network they want, and their way into a classifier."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import keras

from edgecnn.core import catalogue
from edgecnn.core.checkpoint import Padding
from edgecnn.core.errors import InputError, unknown
from edgecnn.core.normalization import Normalization
from edgecnn.core.progress import say
from edgecnn.zoo.convention import Convention
from edgecnn.zoo.matching import FileLayer, Found, Named, by_name, check, in_order
from edgecnn.zoo.network import LOGITS_LAYER, attach_head, build
from edgecnn.zoo.published import published_file
from edgecnn.zoo.registry import find
from edgecnn.zoo.torch_file import Tensors
from edgecnn.zoo.torch_names import CONVENTIONS
from edgecnn.zoo.weight_file import read, read_keras

IMAGENET, NONE = "imagenet", "none"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Weights:
    """Weights that were read, and the network that they want.

    Attributes:
        label: What to write down about them: the source, or the file's name.
        where: The file; None for random weights.
        content: Its layers in order, or its tensors by name.
        normalization: What the weights want to see; None: what the architecture says.
        padding: How their strided layers pad.
        is_bgr: The first kernel wants blue first.
    """

    label: str
    where: Path | None = None
    content: list[FileLayer] | Named = dataclasses.field(default_factory=list, repr=False)
    normalization: Normalization | None = None
    padding: Padding = "same"
    is_bgr: bool = False


RANDOM = Weights(label=NONE)


def sources(name: str) -> tuple[str, ...]:
    """Return the values of ``--weights``, besides a file, that an architecture knows."""
    return (IMAGENET, NONE) if catalogue.published(name) else (NONE,)


def open_weights(name: str, source: str, *, alpha: float = 1.0, size: int | None = None) -> Weights:
    """Read weights, before there is a network: they decide how it pads and normalizes.

    Args:
        name: An architecture.
        source: "imagenet", "none" or a file: Keras's ``.h5`` or ``.keras``, ``.safetensors``
            or a torch state dictionary.
        alpha: Of the network that they are for.
        size: Side of its input; None is the architecture's own.

    Raises:
        InputError: no such source, a download failed, or a file that can't be read.
    """
    architecture = find(name)
    if source == NONE:
        return RANDOM
    if source == IMAGENET:
        path = published_file(name, alpha, size or architecture.default_size)
        return _opened(name, path, label=source)
    path = Path(source)
    if not path.suffix and not path.exists():
        raise unknown("weights", source, sources(name), where="--weights")
    return _opened(name, path, label=path.name)


def classifier(
    name: str,
    classes: int,
    *,
    shape: tuple[int, int, int],
    alpha: float = 1.0,
    dropout: float = 0.2,
    weights: Weights = RANDOM,
) -> keras.Model:
    """Make a classifier that starts from weights.

    The last layer starts from them where they are for as many classes. A head whose inner
    layers the file lacks keeps random ones there, with a note.

    Args:
        name: An architecture.
        classes: Two or more.
        shape: Height, width and channels of the pixels.
        alpha: Multiple of the paper's channels.
        dropout: Share of the head's inputs that a training step leaves out.
        weights: From `open_weights`.

    Raises:
        InputError: no such network, or weights that are another network's.
    """
    body = _body(name, shape, alpha, weights)
    model = attach_head(body, classes, dropout=dropout)
    absent = _fill(model, body, weights) if weights.where else []
    if inner := [layer for layer in absent if layer != LOGITS_LAYER]:
        say(f"note: {weights.label} has no weights of {', '.join(inner)}: they are random")
    return model


def pretrained(
    name: str, classes: int, *, shape: tuple[int, int, int], weights: Weights, alpha: float = 1.0
) -> keras.Model:
    """Make a classifier that needs no training: weights fill all of it.

    Raises:
        InputError: weights without this network's head, or for another number of classes.
    """
    body = _body(name, shape, alpha, weights)
    model = attach_head(body, classes)
    if absent := _fill(model, body, weights):
        raise InputError(
            f"no weights of layer {absent[0]} for {classes} classes",
            where=weights.where or weights.label,
            fix=f"use {name}'s own size, or train it",
        )
    return model


def _body(name: str, shape: tuple[int, int, int], alpha: float, weights: Weights) -> keras.Model:
    normalization, padding = weights.normalization, weights.padding
    return build(name, shape=shape, alpha=alpha, normalization=normalization, padding=padding)


def assign(model: keras.Model, path: Path) -> None:
    """Set all weights of a model from a Keras file that was written from its like.

    Raises:
        InputError: a file that can't be read, or the first layer that differs; the model is
            unchanged then.
    """
    try:
        found = in_order(model, read_keras(path), head=())
        check(model, found)
    except ValueError as error:
        raise _unfit(model, error, path) from None
    _set(model, found)


def _fill(model: keras.Model, body: keras.Model, weights: Weights) -> list[str]:
    """Set the weights that a file has; return the names of the head's layers without any."""
    inside = {layer.name for layer in body.layers}
    head = tuple(la.name for la in model.layers if la.weights and la.name not in inside)
    try:
        if isinstance(weights.content, Named):
            found = by_name(model, weights.content)
        else:
            found = in_order(model, weights.content, head=head)
        if weights.is_bgr:
            _turn_colours(model, found)
        if _has_other_classes(model, found):
            del found[LOGITS_LAYER]
        absent = [name for name in head if name not in found]
        check(model, found, optional=head if len(absent) == len(head) else head[-1:])
    except ValueError as error:
        raise _unfit(model, error, weights.where or Path()) from None
    _set(model, found)
    return absent


def _set(model: keras.Model, found: Found) -> None:
    for name, arrays in found.items():
        model.get_layer(name).set_weights(arrays)


def _unfit(model: keras.Model, error: ValueError, path: Path) -> InputError:
    return InputError(str(error), where=path, fix=f"use weights made for this {model.name}")


def _has_other_classes(model: keras.Model, found: Found) -> bool:
    if LOGITS_LAYER not in found:
        return False
    theirs, ours = found[LOGITS_LAYER][0].shape, model.get_layer(LOGITS_LAYER).kernel.shape
    return theirs[:1] == tuple(ours[:1]) and theirs[1:] != tuple(ours[1:])


def _turn_colours(model: keras.Model, found: Found) -> None:
    first = next(layer.name for layer in model.layers if layer.weights)
    kernel, *rest = found[first]
    found[first] = [kernel[:, :, ::-1], *rest]


def _opened(name: str, path: Path, *, label: str) -> Weights:
    content = read(path)
    if isinstance(content, list):
        is_bgr = find(name).bgr_weights and path.name in catalogue.published_files(name)
        return Weights(label=label, where=path, content=content, is_bgr=is_bgr)
    convention = _convention(name, path, content)
    return Weights(
        label=label,
        where=path,
        content=Named(content, convention),
        normalization=convention.normalization,
        padding=convention.padding,
    )


def _convention(name: str, path: Path, tensors: Tensors) -> Convention:
    known = CONVENTIONS.get(name, ())
    for convention in known:
        if convention.marker in tensors and re.search(convention.path, str(path)):
            return convention
    first = next(iter(tensors), "nothing")
    fix = (
        f"names of {' or '.join(dict.fromkeys(c.origin for c in known))} are known"
        if known
        else "use Keras's weights: no torch names are known for it"
    )
    raise InputError(f"torch weights of another network than {name} ({first})", where=path, fix=fix)
