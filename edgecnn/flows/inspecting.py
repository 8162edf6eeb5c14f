"""Look into any model: a file without its runtime, a checkpoint with TensorFlow."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from edgecnn.core import checkpoint as checkpoints
from edgecnn.core import schema
from edgecnn.flows.needs import needs


def inspect_model(path: Path) -> dict[str, Any]:
    """Return layers, parameters, multiply-accumulates, memory and metadata as plain data.

    Raises:
        InputError: no model, or a damaged one.
        MissingExtra: for ONNX files and checkpoints, the package that reads them.
    """
    if path.is_dir():
        return _inspect_checkpoint(path)
    from edgecnn.runtime.inspect import inspect

    return inspect(path)


def _inspect_checkpoint(path: Path) -> dict[str, Any]:
    found = checkpoints.read(path)
    with needs("inspecting a checkpoint", "train"):
        from edgecnn import zoo
    cost = zoo.cost(zoo.restore(found))
    card = found.card
    return {
        "model": str(path),
        "format": "keras",
        "params": cost.params,
        "macs": cost.macs,
        "activation_peak_bytes": cost.activation_peak_bytes,
        "bytes": found.model_path.stat().st_size,
        "layers": [dataclasses.asdict(layer) for layer in cost.layers],
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
