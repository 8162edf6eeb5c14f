"""Quantization schemes by name: which bits, and in which formats they exist."""

from __future__ import annotations

import dataclasses

from edgecnn.core.artifact import Format, Scheme
from edgecnn.quantize.plan import Rounding


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bits:
    """What a scheme's name means.

    Attributes:
        weights: Bits of a stored weight.
        activations: Bits of an activation between operations.
        formats: Where the scheme exists. Dynamic range in ONNX doesn't: it ruins
            depthwise networks there. In the ORT format only what is computed as it is
            stored does: the runtime unpacks all other weights when it writes the file.
    """

    weights: int
    activations: int
    formats: tuple[Format, ...] = ("tflite", "onnx")


SCHEMES: dict[Scheme, Bits] = {
    "float32": Bits(weights=32, activations=32, formats=("tflite", "onnx", "ort")),
    "float16": Bits(weights=16, activations=32),
    "weights8": Bits(weights=8, activations=32),
    "weights4": Bits(weights=4, activations=32),  # 8 where no runtime multiplies with 4
    "dynamic": Bits(weights=8, activations=32, formats=("tflite",)),  # never called int8
    "int16x8": Bits(weights=8, activations=16, formats=("tflite",)),
    "mixed": Bits(weights=8, activations=8),  # int8 but for operations that stay in float
    "int8": Bits(weights=8, activations=8, formats=("tflite", "onnx", "ort")),
}

WEIGHT_ONLY: dict[Scheme, int] = {"weights8": 8, "weights4": 4}
"""Schemes that store weights in few bits and compute in float, and in how many."""


def is_integer(scheme: Scheme) -> bool:
    """Tell whether a scheme's activations are integers: its input and output can be too."""
    return SCHEMES[scheme].activations < 32


def takes_photos(scheme: Scheme, rounding: Rounding) -> bool:
    """Tell whether calibration photos have a part in a scheme's files."""
    if scheme in WEIGHT_ONLY:
        return rounding == "compensated"
    return is_integer(scheme)
