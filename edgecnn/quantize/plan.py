"""A quantization plan: each tensor's grid, each layer's precision, integers and reason.

It is made once, from the float graph and the calibration photos, and both formats' writers
follow it, so that a TFLite and an ONNX file of one network make the same decisions.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn.quantize.grid import Grid

Array: TypeAlias = npt.NDArray[Any]

SCHEMA = "edgecnn/quantization-plan/1"

Precision: TypeAlias = Literal["int8", "int16x8", "float32"]
Rounding: TypeAlias = Literal["nearest", "compensated"]


@dataclasses.dataclass(frozen=True)
class Rounded:
    """Weights and bias of a layer on their integer grids.

    Attributes:
        weights: int8 within -limit..limit, in the layout of the float file's own weights.
        scales: float32, [channels], or [1] where all channels share one.
        bias: float64, [channels], real values: writers round them to the accumulator's grid.
        bits: Of a weight where it is stored.
    """

    weights: Array
    scales: Array
    bias: Array
    bits: int = 8

    @property
    def limit(self) -> int:
        """The largest integer: grids of weights are symmetric."""
        return int(2 ** (self.bits - 1) - 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tensor:
    """What an activation does on the calibration photos, and the grid that it gets.

    Attributes:
        low: Smallest value of the range that was chosen.
        high: Largest value of it.
        grid: int8 or int16, per tensor.
    """

    low: float
    high: float
    grid: Grid


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layer:
    """One operation.

    Attributes:
        operation: Its name in TFLite, as "CONV_2D".
        precision: In which it computes.
        why: The reason, in a few words.
        rounding: How its weights became integers; None without weights.
        rounded: The integers; None without weights, or where it stays in float.
    """

    operation: str
    precision: Precision
    why: str
    rounding: Literal["nearest", "compensated", "trained"] | None = None
    rounded: Rounded | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """All decisions about one network.

    Attributes:
        tensors: Activations by their name in the float TFLite file.
        layers: Operations by the name of their (first) output there, in order.
        input: Name of the input.
        input_shift: What the input grid's real values exceed the true ones by (half a pixel
            step where the true zero point is no integer).
        per_tensor: Whether the channels of a layer's weights share one scale.
        equalized: Whether the float file's channels were rescaled to even ranges; see
            `edgecnn.quantize.equalize`.
    """

    tensors: dict[str, Tensor]
    layers: dict[str, Layer]
    input: str
    input_shift: float = 0.0
    per_tensor: bool = False
    equalized: bool = False

    def in_float(self, names: Iterable[str], *, why: str) -> Plan:
        """Return the plan with some operations in float, for a reason."""
        kept = {
            name: dataclasses.replace(
                self.layers[name], precision="float32", why=why, rounding=None, rounded=None
            )
            for name in names
        }
        return dataclasses.replace(self, layers={**self.layers, **kept})

    def to_json(self) -> str:
        """Return the plan as text that a person can read and `diff` can compare.

        Weights are told by their scales and a hash: they are in the files.
        """
        content = {
            "schema": SCHEMA,
            "input": self.input,
            "input_shift": self.input_shift,
            "per_tensor_weights": self.per_tensor,
            "equalized": self.equalized,
            "tensors": {name: _tensor_row(tensor) for name, tensor in self.tensors.items()},
            "layers": {name: _layer_row(layer) for name, layer in self.layers.items()},
        }
        return json.dumps(content, indent=1) + "\n"


def _tensor_row(tensor: Tensor) -> dict[str, Any]:
    return {
        "low": tensor.low,
        "high": tensor.high,
        "bits": tensor.grid.bits,
        "scale": tensor.grid.scale,
        "zero_point": tensor.grid.zero_point,
    }


def _layer_row(layer: Layer) -> dict[str, Any]:
    row: dict[str, Any] = {
        "operation": layer.operation,
        "precision": layer.precision,
        "why": layer.why,
    }
    if layer.rounded is not None:
        scales = layer.rounded.scales.astype(np.float64)
        row |= {
            "rounding": layer.rounding,
            "weight_bits": layer.rounded.bits,
            "weight_scales": {"count": len(scales), "low": scales.min(), "high": scales.max()},
            "weight_hash": hashlib.sha256(layer.rounded.weights.tobytes()).hexdigest()[:16],
        }
    return row
