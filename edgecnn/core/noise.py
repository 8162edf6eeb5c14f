"""What integers do to each layer of a network: measured noise, where it comes from."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

# No more layers are named, and none with less than this share of the noisiest one's noise.
_FEW = 3
_STANDS_OUT = 0.25


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerNoise:
    """One operation, float against integers, on the same photos.

    Attributes:
        name: Of its output in the float TFLite file.
        label: A short name, once a network.
        operation: As "CONV_2D".
        precision: In which the file computes it: "int8" or "float32".
        macs: Multiply-accumulates of one inference.
        low: Smallest value that its output's grid has; likewise high.
        seen_low: Smallest value of the float network on these photos; likewise seen_high.
        saturated: Share of the values, 0..1, that the grid cuts off.
        sqnr_db: Power of its float output over that of the file's error, decibels: its own
            and all that came in before; none where there is no error.
        sqnr_alone_db: The same where this layer alone is quantized; none where that makes no
            error (an operation that only moves values).
        noise: Mean square by which the lead of the first answer over the second changes
            where this layer alone is quantized, on the half of the photos whose lead is least.
        flips: Photos of `Noise.n_alone` whose answer changes then.
        weight_spread: Largest range of a channel's weights over the smallest; dead channels
            don't count, and it is none without weights.
        ms: Time that it takes in one inference of the file; none where that wasn't measured,
            or nothing runs for it.
    """

    name: str
    label: str
    operation: str
    precision: str
    macs: int
    low: float
    high: float
    seen_low: float
    seen_high: float
    saturated: float
    sqnr_db: float | None
    sqnr_alone_db: float | None
    noise: float
    flips: int
    weight_spread: float | None
    ms: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Relief:
    """What the file would do if its noisiest layers stayed in float.

    Attributes:
        layers: Their labels, noisiest first.
        noise: Mean square change of the lead that is left.
        flips: Photos of `Noise.n` whose answer still changes.
    """

    layers: tuple[str, ...]
    noise: float
    flips: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Noise:
    """A quantized network, layer by layer.

    Attributes:
        file: Name of the file that computes so.
        data: What the photos are.
        n: Photos on which the file is compared with the float network.
        n_alone: Of these, photos on which each layer is quantized alone.
        noise: Mean square by which the file changes the lead, on the half of the photos.
        flips: Photos of n whose answer the file changes.
        layers: In the network's order.
        relief: The noisiest few in float; none where that was not tried.
        advice: What in the float network integers do badly, a sentence each.
        timed: Where the layers' times come from; empty where there are none.
        operations_ms: Time of all operations of the file, with those that are no layer's.
    """

    SCHEMA: ClassVar[str] = "edgecnn/layers/1"

    file: str
    data: str
    n: int
    n_alone: int
    noise: float
    flips: int
    layers: tuple[LayerNoise, ...]
    relief: Relief | None = None
    advice: tuple[str, ...] = ()
    timed: str = ""
    operations_ms: float | None = None

    def time_share(self, layer: LayerNoise) -> float | None:
        """Return a layer's share of the time of all operations, 0..1; None where unknown."""
        return (
            layer.ms / self.operations_ms if self.operations_ms and layer.ms is not None else None
        )

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(layer.macs for layer in self.layers)

    @property
    def shares(self) -> dict[str, float]:
        """Each layer's share of the noise of all, 0..1, by its label.

        Noises of single layers are nearly independent of each other, so that they add up.
        """
        total = sum(layer.noise for layer in self.layers) or 1.0
        return {layer.label: layer.noise / total for layer in self.layers}

    @property
    def loudest(self) -> tuple[str, ...]:
        """Labels of the few layers that stand out by their noise, noisiest first."""
        shares = self.shares
        ranked = sorted(shares, key=lambda label: -shares[label])[:_FEW]
        least = _STANDS_OUT * max(shares.values(), default=0.0)
        return tuple(label for label in ranked if shares[label] and shares[label] >= least)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerMatch:
    """One layer of the float network, and the tensor of a quantized file that stands for it.

    Attributes:
        name: Of its output in the float network; label and operation as in `LayerNoise`.
        macs: Multiply-accumulates of one inference.
        tensor: The file's name for it.
        found: How it was found: by its name, or by its values on the same photos.
        dtype: In which the file has it.
        low: Smallest value that its grid has; likewise high; none for floats.
        seen_low: Smallest value of the float network on these photos; likewise seen_high.
        saturated: Share of the values, 0..1, that the grid cuts off.
        sqnr_db: Power of the float output over that of the file's error, decibels.
    """

    name: str
    label: str
    operation: str
    macs: int
    tensor: str
    found: Literal["name", "values"]
    dtype: str
    low: float | None
    high: float | None
    seen_low: float
    seen_high: float
    saturated: float
    sqnr_db: float | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class AgainstFile:
    """A quantized file of any origin beside the float network, layer by layer.

    Attributes:
        file: The file's name.
        data: What the photos are.
        n: Photos whose answers are compared.
        n_detailed: Of these, photos whose tensors are.
        flips: Photos of n whose answer the file changes.
        layers: Those that the file has, too, in the network's order.
        missing: Labels of those that it hasn't, or that look like none of its tensors.
        others: Tensors of the file that stand for no layer.
    """

    SCHEMA: ClassVar[str] = "edgecnn/layers-against/1"

    file: str
    data: str
    n: int
    n_detailed: int
    flips: int
    layers: tuple[LayerMatch, ...]
    missing: tuple[str, ...]
    others: int
