"""One layer of any model, as plain facts: what `inspect` prints and the pictures draw."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer: what it does, what it costs, what it depends on.

    Attributes:
        name: As the model has it.
        op: The layer's class, or the operation of a file.
        output_shape: As the model has it; a network's has no axis for the batch.
        params: Numbers that the file or network stores for it, counted where first used.
        macs: Multiply-accumulates of one inference.
        bytes: Of its weights.
        activation_bytes: Of its output.
        kernel: Places of its window along each axis, where it has one.
        stride: Likewise.
        padding: "same", "valid" or the rows added at each border.
        dilation: Steps between the places of its window, where not all are 1.
        receptive_field: Pixels of the image that one output depends on, along each axis.
        inputs: Places in the list of layers of those that it reads; -1 is the model's input.
    """

    name: str
    op: str
    output_shape: tuple[int, ...]
    params: int
    macs: int
    bytes: int
    activation_bytes: int
    kernel: tuple[int, ...] | None = None
    stride: tuple[int, ...] | None = None
    padding: str | None = None
    dilation: tuple[int, ...] | None = None
    receptive_field: tuple[int, ...] = ()
    inputs: tuple[int, ...] = ()
