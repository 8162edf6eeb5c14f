"""One ONNX node with its inputs looked up: what a translation reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from onnx import helper

from edgecnn.convert.onnx_tensor import LAST, Tensor

Array: TypeAlias = npt.NDArray[Any]
Value: TypeAlias = Tensor | Array


class Unsupported(Exception):
    """There is no translation of a node; the message says what it is."""


@dataclasses.dataclass(frozen=True, eq=False)
class Node:
    """One operation.

    Attributes:
        proto: ONNX's node.
        inputs: Computed tensors and constants; None where an input is left out.
        version: Of the operator set.
    """

    proto: Any
    inputs: Sequence[Value | None]
    version: int

    def __len__(self) -> int:
        return sum(value is not None for value in self.inputs)

    @property
    def op(self) -> str:
        """The operation's name."""
        return str(self.proto.op_type)

    def get(self, name: str, default: Any) -> Any:
        """Return an attribute's value."""
        found = next((a for a in self.proto.attribute if a.name == name), None)
        return default if found is None else helper.get_attribute_value(found)

    def input(self, index: int) -> Value | None:
        """Return an input, None where there is none."""
        return self.inputs[index] if index < len(self.inputs) else None

    def tensor(self, index: int) -> Tensor:
        """Return an input that is computed."""
        value = self.input(index)
        if not isinstance(value, Tensor):
            raise Unsupported(f"{self.op} of a constant")
        return value

    def constant(self, index: int) -> Array:
        """Return an input that must be constant."""
        value = self.input(index)
        if not isinstance(value, np.ndarray):
            raise Unsupported(f"{self.op} with weights or settings that are computed")
        return value

    def image(self, index: int) -> Tensor:
        """Return an input [N, C, H, W] with its channels held last."""
        value = self.tensor(index)
        if len(value.order) != 4:
            raise Unsupported(f"{self.op} of {len(value.order) - 2} dimensions")
        return value.ordered(LAST)

    def setting(self, name: str, index: int, default: Any = None) -> Any:
        """Return what is an attribute in older operator sets, and an input in newer ones."""
        if self.input(index) is not None:
            return self.constant(index).tolist()
        return self.get(name, default)
