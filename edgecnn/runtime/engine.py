"""What each native runtime offers to the rest of the room: one raw tensor in, one out."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn.core.errors import InputError

Raw: TypeAlias = npt.NDArray[Any]
"""A tensor as the file has it: its own dtype, quantized or not."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Port:
    """The file's input or output, as its runtime describes it.

    Attributes:
        shape: Sizes of the axes; -1 where the file leaves one open.
        dtype: numpy's name of the type.
        scale: Real value = (value - zero_point) * scale; 1 for a float tensor.
        zero_point: 0 for a float tensor.
    """

    shape: tuple[int, ...]
    dtype: str
    scale: float = 1.0
    zero_point: int = 0


class Engine(Protocol):
    """One file, open in one native runtime."""

    version: str
    input: Port
    output: Port

    def invoke(self, tensor: Raw) -> Raw:
        """Return the file's first output for one image, in the input's shape and dtype."""
        ...


def refused(runtime: str, error: BaseException, *, where: Path) -> InputError:
    """Build the error for a file that a native runtime does not take."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return InputError(
        f"a model that {runtime} refuses ({lines[0][:200]})",
        where=where,
        fix="export it again, or try another --runtime",
    )


def contiguous(tensor: Raw, dtype: str) -> Raw:
    """Return the tensor as native code wants it: packed, of the file's dtype."""
    return np.ascontiguousarray(tensor, dtype)
