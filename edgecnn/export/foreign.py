"""Export of a model that this toolkit did not train: Keras, SavedModel or ONNX in, files out."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np

from edgecnn.convert import foreign
from edgecnn.convert.network import Answer, Network, classifier, own_normalization
from edgecnn.core import files
from edgecnn.core.artifact import Artifact
from edgecnn.core.checkpoint import Card
from edgecnn.core.errors import InputError
from edgecnn.core.foreign import Kind
from edgecnn.core.image import Preprocessing, Resize
from edgecnn.core.normalization import Normalization, same_for_all
from edgecnn.core.progress import say
from edgecnn.export.export import export_network
from edgecnn.export.foreign_photos import choose_photos
from edgecnn.export.foreign_writers import ForeignWriters
from edgecnn.export.options import Options
from edgecnn.quantize.schemes import takes_photos
from edgecnn.runtime import wiring

_RAW = same_for_all(1.0, 0.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model:
    """A foreign model, and what its file doesn't say.

    Attributes:
        path: A ``.keras``, ``.h5`` or ``.onnx`` file, or a SavedModel's folder.
        kind: What it is.
        normalization: What it wants of pixels 0..255, in its own order of colours; None: it
            does that itself.
        is_bgr: It wants blue first.
        resize: How a photo becomes its pixels.
        crop: Central share of the photo's side that is kept.
        labels: Text file with one class a line; None: classes are numbered.
        answer: What it gives; None: what its last operation says.
        size: Height and width of its pixels, where it leaves them open.
    """

    path: Path
    kind: Kind
    normalization: Normalization | None = None
    is_bgr: bool = False
    resize: Resize = "cover"
    crop: float = 1.0
    labels: Path | None = None
    answer: Answer | None = None
    size: tuple[int, int] | None = None


def export_foreign(model: Model, out: Path, options: Options) -> list[Artifact]:
    """Write a foreign model's files, each parsed again and measured.

    What is measured is agreement with the float model, on calibration photos kept aside.

    Raises:
        InputError: a file that can't be read or converted (why, and which layer), options that
            don't fit it, or int8 without photos.
        CheckFailed: a written file is not what its name says; it is not kept.
    """
    if options.equalize:
        raise InputError(
            "channels of a foreign model can't be rescaled",
            where="--equalize",
            fix="leave it out, or export a checkpoint",
        )
    if options.per_tensor:
        say("note: one scale for all weights of a layer, whose channels aren't equalized here")
    say(f"reading {model.path.name}")
    network = foreign.open_foreign(model.path, model.kind, size=model.size)
    normalization = _normalization(model, network)
    answer = model.answer or _answer(network)
    network = classifier(network, answer)
    card = _card(model, network, normalization)
    photos = choose_photos(
        card,
        source=options.calibration,
        wanted=options.wanted,
        needs_ranges=any(takes_photos(scheme, options.rounding) for _, scheme in options.files),
    )
    writers = ForeignWriters(
        network,
        normalization,
        photos.pixels,
        rounding=options.rounding,
        ranges=options.ranges,
        onnx_form=options.onnx_form,
        per_tensor=options.per_tensor,
        is_bgr=model.is_bgr,
    )
    return export_network(
        card,
        out,
        options,
        photos=photos,
        writers=writers,
        runner=writers.runner(card.classes, card.preprocessing),
    )


def _normalization(model: Model, network: Network) -> Normalization:
    """Return what is done to pixels before the network; it is asked for, never guessed."""
    channels = network.shape[3]
    wanted = model.normalization
    if wanted is None:
        if own_normalization(network) == _RAW:
            raise InputError(
                "a model that doesn't say how it wants its pixels",
                where=model.path,
                fix="add --normalize [-1,1], [0,1], imagenet or none (raw 0..255), "
                "or --mean and --std",
            )
        say("note: the model rescales pixels itself, so it gets them raw (--normalize none)")
        return _RAW
    if len(wanted.scale) not in (1, channels):
        raise InputError(
            f"{len(wanted.scale)} numbers for {channels} channels",
            where=model.path,
            fix="give one, or one a channel",
        )
    if model.is_bgr and channels != 3:
        raise InputError("a grey model", where=model.path, fix="leave --channels bgr out")
    return wanted


def _answer(network: Network) -> Answer:
    """Return what the last operation makes of the scores, and say so where it is not plain."""
    if network.says == "logits":
        say("note: the model gives logits: the files end with a softmax (--output says otherwise)")
    return network.says


def _card(model: Model, network: Network, normalization: Normalization) -> Card:
    count = int(np.prod(network.answer))
    _, height, width, channels = network.shape
    try:
        preprocessing = Preprocessing(
            height=height, width=width, channels=channels, resize=model.resize, crop=model.crop
        )
    except ValueError as error:
        raise InputError(f"an input of {error}", where=model.path, fix="use --size") from error
    return Card(
        name=model.path.stem or model.path.resolve().name,
        task="classify",
        classes=_classes(model, count),
        arch="foreign",
        alpha=1.0,
        preprocessing=preprocessing,
        normalization=normalization,
        weights=model.path.name,
        params=0,
        macs=0,
        recipe={},
        data=None,
        phases=(),
        history=(),
        scores=(),
        seconds=0.0,
        peak_rss_mb=0.0,
        model_sha256=_sha256(model.path),
        versions={},
    )


def _classes(model: Model, count: int) -> tuple[str, ...]:
    if count < 2:
        raise InputError("a single score", where=model.path, fix="use a classifier")
    if model.labels is None:
        say("note: without --labels FILE the classes are numbered, from 0")
        return tuple(map(str, range(count)))
    names = wiring.read_labels(model.labels)
    if len(names) != count:
        raise InputError(
            f"{len(names)} names for a model of {count} classes",
            where=model.labels,
            fix="give one name a line, in the order of the outputs",
        )
    if len(set(names)) < count:  # ImageNet has two kinds of cranes
        seen: set[str] = set()
        names = tuple(_told_apart(name, index, seen) for index, name in enumerate(names))
    return names


def _told_apart(name: str, index: int, seen: set[str]) -> str:
    name = f"{name} ({index})" if name in seen else name
    seen.add(name)
    return name


def _sha256(path: Path) -> str:
    """Hash a file, or a SavedModel's files in the order of their names."""
    if path.is_file():
        return files.sha256(path)
    whole = hashlib.sha256()
    for part in sorted(p for p in path.rglob("*") if p.is_file()):
        whole.update(f"{part.relative_to(path)} {files.sha256(part)}\n".encode())
    return whole.hexdigest()
