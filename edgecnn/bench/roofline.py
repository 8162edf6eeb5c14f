"""How long operations take on a machine that computes and moves numbers at given rates.

Each operation lasts as long as the slower of both, and some microseconds to begin with.

Source: Williams, Waterman and Patterson 2009, "Roofline: an insightful visual performance
model for multicore architectures", Communications of the ACM 52(4).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edgecnn.bench.work import BYTES, KINDS, Work

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Load:
    """A network's operations, one place each.

    Attributes:
        kind: Places in `KINDS`.
        operations: Two a multiply-accumulate.
        bytes: Read and written, each number as wide as the operation computes.
    """

    kind: Places
    operations: Floats
    bytes: Floats

    @classmethod
    def of(cls, work: Sequence[Work]) -> Load:
        """Lay out a network."""
        return cls(
            kind=np.array([KINDS.index(one.kind) for one in work], dtype=np.int64),
            operations=np.array([2.0 * one.macs for one in work]),
            bytes=np.array([float(one.moved * BYTES[one.dtype]) for one in work]),
        )


def times_ms(load: Load, *, gops: Floats, gb_per_s: Floats, overhead_ms: Floats) -> Floats:
    """Return the time of each operation.

    Args:
        load: The operations.
        gops: 1e9 operations a second that each reaches.
        gb_per_s: 1e9 bytes a second that each reads and writes.
        overhead_ms: What each takes to begin.
    """
    times: Floats = np.maximum(load.operations / gops, load.bytes / gb_per_s) / 1e6 + overhead_ms
    return times
