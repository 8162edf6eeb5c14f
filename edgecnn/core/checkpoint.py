"""A Checkpoint: a folder with ``model.keras`` and ``card.json``, written whole or not at all."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias

from edgecnn.core import files, schema
from edgecnn.core.errors import InputError
from edgecnn.core.image import Preprocessing
from edgecnn.core.normalization import Normalization

Task: TypeAlias = Literal["classify", "localize", "detect", "segment"]
Padding: TypeAlias = Literal["same", "symmetric", "caffe"]

MODEL_FILE = "model.keras"
CARD_FILE = "card.json"

_FIRST_SCHEMA = "edgecnn/checkpoint/1"
_NORMALIZATION = ("scale", "offset")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataManifest:
    """Which photos a model was trained on, well enough to recognize them again.

    Attributes:
        source: The DATA argument; an absolute path for a folder.
        fingerprint: Hash over all photos' content hashes, whatever their names and order.
        seed: Seed of the split.
        split: Shares of train, val and test; none where the folder came split.
        n_train: Photos of the part; likewise n_val and n_test.
        per_class: Photos of each class, all parts together.
        skipped: Photos that could not be read.
    """

    source: str
    fingerprint: str
    seed: int
    split: tuple[float, float, float] | None
    n_train: int
    n_val: int
    n_test: int
    per_class: tuple[int, ...]
    skipped: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Phase:
    """One phase of training, summed up."""

    name: str
    epochs: int
    seconds: float
    images_per_second: float
    val_top1: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Epoch:
    """One row of the training history; top-1 values are fractions 0..1."""

    phase: str
    epoch: int
    learning_rate: float
    loss: float
    top1: float
    val_loss: float
    val_top1: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassScore:
    """Recall and precision of one class, fractions 0..1; none where undefined."""

    name: str
    n: int
    recall: float | None
    precision: float | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scores:
    """What a model reached on one part of the data.

    Attributes:
        split: "val", "test" or "all".
        n: Photos judged.
        top1: Share of right answers, 0..1.
        top5: Share with the right class among five, 0..1.
        macro_recall: Mean of the classes' recalls, 0..1.
        loss: Mean cross-entropy, nats.
        per_class: One row a class.
        confusion: [true class][answered class] counts.
    """

    split: str
    n: int
    top1: float
    top5: float
    macro_recall: float
    loss: float
    per_class: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Origin:
    """Another checkpoint that this one comes from, or learned from.

    Attributes:
        name: The run's.
        sha256: Of its ``model.keras``.
    """

    name: str
    sha256: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompressedLayer:
    """What one kernel of a compressed network consists of.

    Attributes:
        layer: Its layer.
        kernel: Its name there.
        weights: How many.
        zeros: How many of them are exactly zero.
        distinct: Different values, zero among them.
        spared: Why it was left as it was; None where it was compressed.
    """

    layer: str
    kernel: str
    weights: int
    zeros: int
    distinct: int
    spared: str | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Card:
    """Everything about a checkpoint that is not a weight.

    Attributes:
        name: The run's name; artefacts are named after it.
        normalization: What the model applies to pixels 0..255 itself, as its layer named
            "normalize"; exports absorb it.
        weights: Where the starting weights came from: "imagenet", "none" or a file's name.
        params: Trainable and other parameters, as Keras counts.
        macs: Multiply-accumulates of one image.
        recipe: Training options, plain JSON values.
        scores: On the val part, then on the test part, where they exist.
        model_sha256: Hash of ``model.keras``.
        versions: Package name to version, at training.
        padding: Of strided layers, as its weights were trained: "same" as TensorFlow pads,
            "symmetric" as torch does, "caffe" as that does: only convolutions symmetric.
        base: The checkpoint that was fine-tuned; None where training began elsewhere.
        teacher: The checkpoint whose answers were learned beside the labels, or None.
        compression: One row a kernel, where pruning or clustering was asked for.
    """

    # 2: normalization a channel, and padding; 1 had two numbers for all channels.
    SCHEMA: ClassVar[str] = "edgecnn/checkpoint/2"

    name: str
    task: Task
    classes: tuple[str, ...]
    arch: str
    alpha: float
    preprocessing: Preprocessing
    normalization: Normalization
    weights: str
    params: int
    macs: int
    recipe: dict[str, Any]
    data: DataManifest | None
    phases: tuple[Phase, ...]
    history: tuple[Epoch, ...]
    scores: tuple[Scores, ...]
    seconds: float
    peak_rss_mb: float
    model_sha256: str
    versions: dict[str, str]
    padding: Padding = "same"
    base: Origin | None = None
    teacher: Origin | None = None
    compression: tuple[CompressedLayer, ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.classes)) != len(self.classes) or len(self.classes) < 2:
            raise ValueError("classes are fewer than two or not distinct")

    def scores_on(self, split: str) -> Scores | None:
        """Return the scores of one part, or None."""
        return next((scores for scores in self.scores if scores.split == split), None)


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A trained model on disk.

    Attributes:
        path: The folder.
        card: What ``card.json`` says.
    """

    path: Path
    card: Card

    @property
    def model_path(self) -> Path:
        """The Keras file."""
        return self.path / MODEL_FILE

    @property
    def origin(self) -> Origin:
        """How another checkpoint remembers this one."""
        return Origin(name=self.card.name, sha256=self.card.model_sha256)


def read(path: Path) -> Checkpoint:
    """Read and check a checkpoint's folder; the Keras model itself is not opened.

    Raises:
        InputError: the folder, a file in it or a key is missing; the card was edited; or
            the model is not the one that the card describes.
    """
    if not path.is_dir():
        raise InputError("no such checkpoint", where=path, fix="check the path")
    card_path, model_path = path / CARD_FILE, path / MODEL_FILE
    for part in (card_path, model_path):
        if not part.is_file():
            raise InputError(f"no {part.name}", where=path, fix="train again or copy it whole")
    data = schema.parse(
        files.read_bytes(card_path, limit=schema.JSON_LIMIT_BYTES, kind="card"), where=card_path
    )
    card = parse_card(data, where=card_path)
    if files.sha256(model_path) != card.model_sha256:
        raise InputError(
            "a model that is not the one its card describes",
            where=model_path,
            fix="restore the file or train again",
        )
    return Checkpoint(path, card)


def parse_card(data: Any, *, where: Path) -> Card:
    """Rebuild a card from the plain data of ``card.json``.

    Raises:
        InputError: it was edited or cut short, or is no card of a kind that is known.
    """
    fields = dict(data) if isinstance(data, dict) else {}
    if fields.pop("digest", None) != _digest(fields):
        raise InputError(
            "a card that was edited or cut short", where=where, fix="restore it or train again"
        )
    if fields.get("schema") == _FIRST_SCHEMA:
        fields = _from_first(fields)
    return schema.decode(Card, fields, where=where)


def _from_first(fields: dict[str, Any]) -> dict[str, Any]:
    """Bring a card of schema 1 up to date; what is wrong in it `schema.decode` will say."""
    pair = fields.get("normalization")
    if isinstance(pair, list) and len(pair) == len(_NORMALIZATION):
        pair = {name: [value] for name, value in zip(_NORMALIZATION, pair, strict=True)}
    return {**fields, "schema": Card.SCHEMA, "normalization": pair}


def write(
    path: Path, card: Card, *, save_model: Callable[[Path], None], replace: bool = False
) -> Checkpoint:
    """Write a checkpoint; its folder appears only when it is complete.

    Args:
        path: The folder.
        card: Its ``model_sha256`` is filled in here.
        save_model: Writes the Keras file to the path that it is given.
        replace: Take the place of an earlier checkpoint.
    """
    with files.new_folder(path, replace=replace) as folder:
        save_model(folder / MODEL_FILE)
        card = dataclasses.replace(card, model_sha256=files.sha256(folder / MODEL_FILE))
        data = schema.encode(card)
        files.write_text(folder / CARD_FILE, schema.dumps({**data, "digest": _digest(data)}))
    return Checkpoint(path, card)


def _digest(data: Any) -> str:
    canonical = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
