"""What quantizing a float file gives."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Quantized:
    """An integer file, and what in it no runtime computes in integers.

    Attributes:
        content: The file's bytes.
        float_operations: Names of the operations that stay in float, each once, sorted.
        twin: The same decisions in QDQ notation, where the content is the integer-only form.
    """

    content: bytes
    float_operations: tuple[str, ...]
    twin: bytes | None = None
