"""A recipe: everything that decides what training does, apart from the photos."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from edgecnn import zoo
from edgecnn.core import files, schema
from edgecnn.core.checkpoint import Card
from edgecnn.core.errors import InputError, unknown
from edgecnn.core.image import Resize

Strength: TypeAlias = Literal["light", "strong", "flip", "none"]
Reach: TypeAlias = Literal["inner", "all"]

CHECKPOINT = "checkpoint"
"""The weights of a run that fine-tunes a checkpoint."""

_TOML_LIMIT_BYTES = 1_000_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """Options of one training run. Two runs of one recipe on one machine agree to the last bit.

    Attributes:
        weights: "imagenet", "none" (from scratch), a file of weights, or "checkpoint": those
            of a whole checkpoint, which decides the network and its preprocessing as well.
        size: Side of the square input, pixels.
        channels: 3 (RGB) or 1 (grey); published weights are for 3.
        crop: Central share of each photo's side that is seen; None: what the architecture's
            weights were made for.
        head_epochs: Passes over the features of the frozen body; 0 leaves the phase out.
        tune_epochs: Passes of the second phase, or of training from scratch.
        augment: How far photos are changed in training; "flip" only mirrors them, which is
            enough for a small network that has few epochs or many photos.
        views: Differently augmented versions of each photo that go through the frozen
            part; epoch after epoch takes the next one, then the first again.
        flip: Whether a mirrored photo is still of its class; None: yes, but for digits.
        tune_from: Where tuning begins: a share 0..1 of the network's blocks, or the name
            of the last layer that stays frozen.
        head_rate: Highest learning rate of the phase; it rises at first and falls as a cosine.
        tune_rate: Likewise for tuning, or for training from scratch.
        ema: Share of the weights' running average that a step keeps, 0..1; the average is
            what is validated and kept.
        label_smoothing: Probability spread evenly over all classes in the targets.
        mixup: Parameter of the beta distribution that mixes pairs of photos; 0 is off.
        mixed_precision: Compute in float16 while training on a GPU; the result is float32.
        patience: Epochs without a better result on the val part after which a phase ends.
        distill_weight: Share of a teacher's answers in the loss, 0..1; without one, nothing.
        distill_temperature: Divisor of both networks' logits where they are compared.
        prune: Share of zeros that each compressed kernel ends with; 0 leaves them alone.
        cluster: Values that each compressed kernel may have; 0 leaves them alone.
        compress: Kernels that are compressed: "inner" spares the first, the last and
            depthwise ones; "all" spares none.
    """

    arch: str = "efficientnet_lite0"
    alpha: float = 1.0
    size: int = 160
    channels: int = 3
    weights: str = "imagenet"
    resize: Resize = "cover"
    crop: float | None = 1.0
    head_epochs: int = 20
    tune_epochs: int = 12
    batch: int = 32
    augment: Strength = "strong"
    views: int = 6
    flip: bool | None = None
    tune_from: float | str = 0.5
    head_rate: float = 3e-3
    tune_rate: float = 3e-4
    weight_decay: float = 0.01
    ema: float = 0.98
    label_smoothing: float = 0.1
    mixup: float = 0.2
    dropout: float = 0.2
    patience: int = 10
    mixed_precision: bool = False
    distill_weight: float = 0.5
    distill_temperature: float = 4.0
    prune: float = 0.0
    cluster: int = 0
    compress: Reach = "inner"
    seed: int = 0

    def __post_init__(self) -> None:
        self._check_values()
        if isinstance(self.tune_from, float) and not 0 <= self.tune_from < 1:
            raise ValueError(f"tune_from {self.tune_from} is not within 0..1")
        if self.crop is not None and not 0 < self.crop <= 1:
            raise ValueError(f"crop {self.crop} is not within 0..1")
        if self.head_epochs + self.tune_epochs == 0:
            raise ValueError("head_epochs and tune_epochs are both 0")
        if self.from_scratch and not self.tune_epochs:
            raise ValueError("without weights there is only the second phase: tune_epochs is 0")
        if self.cluster == 1:
            raise ValueError("cluster 1 would make all weights of a kernel the same")
        if self.is_compressing and self.weights != CHECKPOINT:
            raise ValueError("prune and cluster fine-tune a checkpoint, and --from names none")
        if self.is_compressing and not self.tune_epochs:
            raise ValueError("prune and cluster happen while tuning, and tune_epochs is 0")

    def _check_values(self) -> None:
        for name, lowest, highest in _LIMITS:
            value = getattr(self, name)
            if not lowest <= value <= highest:
                raise ValueError(f"{name} {value} is not within {lowest}..{highest}")
        for name, choices in _CHOICES:
            value = getattr(self, name)
            if value not in choices:
                raise ValueError(f"{name} {value!r} is not one of {choices}")

    @property
    def from_scratch(self) -> bool:
        """Whether the whole network is trained from random weights."""
        return self.weights == "none"

    @property
    def is_compressing(self) -> bool:
        """Whether weights are pruned or clustered."""
        return bool(self.prune or self.cluster)


_LIMITS = (
    ("alpha", 0.05, 4.0),
    ("size", 8, 4096),
    ("head_epochs", 0, 100_000),
    ("tune_epochs", 0, 100_000),
    ("batch", 1, 4096),
    ("views", 1, 1000),
    ("head_rate", 0.0, 10.0),
    ("tune_rate", 0.0, 10.0),
    ("weight_decay", 0.0, 10.0),
    ("ema", 0.0, 0.99999),
    ("label_smoothing", 0.0, 0.9),
    ("mixup", 0.0, 10.0),
    ("dropout", 0.0, 0.95),
    ("patience", 1, 100_000),
    ("distill_weight", 0.0, 1.0),
    ("distill_temperature", 0.5, 100.0),
    ("prune", 0.0, 0.99),
    ("cluster", 0, 256),
    ("seed", 0, 2**31 - 1),
)

_CHOICES: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("augment", get_args(Strength)),
    ("channels", (1, 3)),
    ("compress", get_args(Reach)),
)

# A whole network with random weights wants more passes and larger steps than a tuned one.
_SCRATCH: Mapping[str, Any] = {
    "size": 96,
    "head_epochs": 0,
    "tune_epochs": 60,
    "tune_from": 0.0,
    "tune_rate": 4e-3,
    "weight_decay": 0.05,
    "ema": 0.99,
    "mixup": 0.0,
    "patience": 30,
}


# What a checkpoint's own run did to its photos and weights, its fine-tuning goes on doing.
_HABITS = (
    *("augment", "flip", "batch", "dropout", "label_smoothing", "mixup", "weight_decay"),
    *("tune_rate", "tune_from"),
)

# All layers learn to do with fewer weights or values. A quarter of the rate that a network was
# trained with heals half as much of the damage in the same epochs (ds_cnn on digits).
_COMPRESSED: Mapping[str, Any] = {"tune_from": 0.0, "tune_epochs": 20, "patience": 30}


def make_recipe(file: Path | None = None, *, base: Card | None = None, **options: Any) -> Recipe:
    """Put a recipe together: defaults, then the file's, then the options.

    Args:
        file: A TOML file whose table ``[train]`` holds fields of `Recipe`.
        base: Of the checkpoint that is fine-tuned: it decides the network, and how its
            photos are prepared.
        options: Fields of `Recipe`; None leaves one at its default.

    Raises:
        InputError: no such field or architecture, a value out of range, or one that the
            checkpoint decides.
    """
    given = {**(_read(file) if file else {}), **{k: v for k, v in options.items() if v is not None}}
    where = str(file) if file else "the recipe"
    fields = {field.name for field in dataclasses.fields(Recipe)}
    for name in given:
        if name not in fields:
            raise unknown("option", name, fields, where=where)
    if base is not None:
        given = _fine_tuning(base, given)
    elif given.get("weights") == CHECKPOINT:
        raise InputError("no checkpoint to start from", where=where, fix="add --from CKPT")
    given = _completed(given)
    defaults = dataclasses.asdict(Recipe())
    try:
        return schema.decode(Recipe, {**defaults, **given}, where=where)
    except InputError as error:
        raise InputError(error.what, where=where, fix="choose another value") from error


def repeated(card: Card, **changes: Any) -> Recipe:
    """Return the recipe that a checkpoint was trained with, changed in some fields.

    Raises:
        InputError: a value out of range.
    """
    # A recipe of earlier days lacks the settings that came later, all of them unset.
    whole = {**dataclasses.asdict(Recipe()), **card.recipe, **changes}
    return schema.decode(Recipe, whole, where=f"the recipe of {card.name}")


def _completed(given: dict[str, Any]) -> dict[str, Any]:
    """Return the fields with what an architecture, and training from scratch, ask for."""
    arch = str(given.get("arch", Recipe.arch))
    if arch not in zoo.ARCHITECTURES:
        raise unknown("architecture", arch, zoo.ARCHITECTURES, where="--arch")
    if "imagenet" not in zoo.sources(arch):
        given = {"weights": "none", **given}
    return {**_SCRATCH, **given} if given.get("weights") == "none" else given


def _fine_tuning(base: Card, given: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a run that starts from a checkpoint."""
    how = base.preprocessing
    network = {"arch": base.arch, "alpha": base.alpha, "weights": CHECKPOINT}
    photos = {"size": how.height, "channels": how.channels, "resize": how.resize, "crop": how.crop}
    decided = network | photos
    for name, value in decided.items():
        if name in given and given[name] != value:
            raise InputError(
                f"{name} {given[name]} where the checkpoint has {value}",
                where="the options",
                fix=f"leave it out: with --from the checkpoint decides its {name}",
            )
    habits = {name: base.recipe[name] for name in _HABITS if name in base.recipe}
    is_compressing = given.get("prune") or given.get("cluster")
    compressed = _COMPRESSED if is_compressing else {}
    # A trained classifier needs no new head.
    return {**habits, "head_epochs": 0, **compressed, **given, **decided}


def _read(file: Path) -> dict[str, Any]:
    data = files.read_bytes(file, limit=_TOML_LIMIT_BYTES, kind="recipe")
    try:
        table = tomllib.loads(data.decode()).get("train", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"a bad recipe ({error})", where=file, fix="mend the TOML") from error
    if not isinstance(table, dict) or not table:
        raise InputError("a recipe without a table [train]", where=file, fix="add one")
    return table
