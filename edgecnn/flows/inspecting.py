"""Look into any model: a file without its runtime, a network or checkpoint with TensorFlow."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.core import checkpoint as checkpoints
from edgecnn.core import schema
from edgecnn.core.artifact import MODEL_SUFFIXES
from edgecnn.core.catalogue import read_catalogue
from edgecnn.core.errors import InputError, unknown
from edgecnn.flows.needs import needs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgecnn.zoo import Cost

_FLOAT_BYTES = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Look:
    """What to look at where a model leaves it open.

    Attributes:
        size: Side of the input of an architecture; None: its own.
        alpha: Width of an architecture; None: its own.
        classes: Outputs of an architecture; None: ImageNet's 1,000.
        batch: Photos of one training step.
        shapes: Sizes of an ONNX file's inputs, by name.
    """

    size: int | None = None
    alpha: float | None = None
    classes: int | None = None
    batch: int = 32
    shapes: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)


def inspect_model(model: str, look: Look | None = None) -> dict[str, Any]:
    """Return layers, parameters, multiply-accumulates, memory and metadata as plain data.

    Args:
        model: A file, a checkpoint's folder, or a name of `edgecnn zoo`.
        look: What the model leaves open.

    Raises:
        InputError: no model, a damaged one, or one that these options don't fit.
        MissingExtra: for ONNX files, checkpoints and architectures, the package that reads them.
    """
    look, path = look or Look(), Path(model)
    if path.is_dir() or path.exists() or path.suffix in MODEL_SUFFIXES or "/" in model:
        _refuse_options(look, model)
        if path.is_dir():
            return _inspect_checkpoint(path, look)
        from edgecnn.runtime.inspect import inspect

        return inspect(path, shapes=look.shapes)
    return _inspect_architecture(model, look)


def _refuse_options(look: Look, model: str) -> None:
    for name in ("size", "alpha", "classes"):
        if getattr(look, name) is not None:
            raise InputError(
                f"--{name} for a model that has its own", where=model, fix=f"leave out --{name}"
            )


def _inspect_architecture(name: str, look: Look) -> dict[str, Any]:
    rows = {row["name"]: row for row in read_catalogue()["architectures"]}
    with needs("inspecting an architecture", "train"):
        from edgecnn import zoo
    row = rows.get(name, {"arch": name, "alpha": 1.0})
    if row["arch"] not in zoo.ARCHITECTURES:
        raise unknown(
            "file, checkpoint or architecture", name, rows, where="this folder or the zoo"
        )
    size = look.size or row.get("size") or zoo.find(row["arch"]).default_size
    alpha, classes = look.alpha or row["alpha"], 1000 if look.classes is None else look.classes
    body = zoo.build(row["arch"], shape=(size, size, 3), alpha=alpha)
    cost = zoo.cost(zoo.attach_head(body, classes))
    about = {"arch": row["arch"], "alpha": alpha, "size": size, "classes": classes}
    return {
        "model": name,
        "format": "keras",
        **_facts(cost, look),
        "bytes": cost.params * _FLOAT_BYTES,
        **about,
    }


def _inspect_checkpoint(path: Path, look: Look) -> dict[str, Any]:
    found = checkpoints.read(path)
    with needs("inspecting a checkpoint", "train"):
        from edgecnn import zoo
    card = found.card
    return {
        "model": str(path),
        "format": "keras",
        **_facts(zoo.cost(zoo.restore(found)), look),
        "bytes": found.model_path.stat().st_size,
        "metadata": {
            "name": card.name,
            "task": card.task,
            "arch": card.arch,
            "alpha": card.alpha,
            "classes": list(card.classes),
            "preprocessing": schema.encode(card.preprocessing),
            "weights": card.weights,
        },
    }


def _facts(cost: Cost, look: Look) -> dict[str, Any]:
    if look.shapes:
        raise InputError("--shape for a network", where="the command line", fix="use --size")
    return {
        "params": cost.params,
        "trainable_params": cost.trainable_params,
        "macs": cost.macs,
        "activation_peak_bytes": cost.activation_peak_bytes,
        "training": {"batch": look.batch, "bytes": cost.training_bytes(look.batch)},
        "receptive_field": list(cost.receptive_field),
        "layers": schema.encode(cost.layers),
        "inputs": [{"name": "image", "dtype": "float32", "shape": [1, *cost.input_shape]}],
    }
