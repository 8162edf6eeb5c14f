"""How a file is timed: enough runs for a 90th percentile, a few seconds, and with what."""

from __future__ import annotations

import dataclasses

from edgecnn.core.errors import InputError
from edgecnn.core.measurement import MIN_RUNS_P90


@dataclasses.dataclass(frozen=True, kw_only=True)
class Protocol:
    """How one row is timed; the numbers depend on it, so the row carries it.

    The worker warms up for at least `warmup_seconds` and `warmup_runs`, then times for at
    least `seconds` and `runs`. A slow model stops at `max_seconds`, with fewer runs.

    Attributes:
        seconds: Shortest timed part.
        runs: Fewest timed inferences: MLPerf's early stopping needs 64 for a 90th percentile.
        warmup_seconds: Shortest warm-up; half a second lets a governor raise the clock.
        warmup_runs: Fewest inferences of the warm-up.
        max_seconds: Longest timed part; the warm-up stops at half of it.
        per_op: Afterwards each operation is timed, too, in a process of its own.
        delegate: What runs the operations; None: what the runtime takes by itself.
        batch: Images of one inference.
        pin: Cores that the process may use; empty: all.
    """

    seconds: float = 3.0
    runs: int = MIN_RUNS_P90
    warmup_seconds: float = 0.5
    warmup_runs: int = 10
    max_seconds: float = 60.0
    per_op: bool = False
    delegate: str | None = None
    batch: int = 1
    pin: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.seconds <= self.max_seconds <= 3600:
            raise ValueError(f"{self.seconds} s is not within 0..{self.max_seconds} s")
        if min(self.runs, self.batch) < 1:
            raise ValueError("at least one run of one image is timed")

    @property
    def timeout_seconds(self) -> float:
        """After this a worker hangs: twice the longest work, and two minutes to load."""
        return 2 * self.max_seconds + 120


def read_protocol(
    *, seconds: float | None = None, runs: int | None = None, per_op: bool = False
) -> Protocol:
    """Make a protocol from a user's options.

    Args:
        seconds: At least so long. None: 3, or no limit where runs are given.
        runs: At least so many. None: 64.
        per_op: Time each operation, too.

    Raises:
        InputError: a time or a count that makes no sense.
    """
    if seconds is not None and not 0 < seconds <= 3600:
        raise InputError(f"{seconds} s", where="--seconds", fix="give 0.1 to 3600")
    if runs is not None and not 1 <= runs <= 1_000_000:
        raise InputError(f"{runs} runs", where="--runs", fix="give 1 to 1000000")
    default = Protocol()
    if seconds is None:
        seconds = default.seconds if runs is None else 0.0
    return Protocol(
        seconds=seconds,
        runs=default.runs if runs is None else runs,
        max_seconds=max(default.max_seconds, 2 * seconds) if seconds <= 1800 else 3600.0,
        per_op=per_op,
    )
