"""A row's machine held against its own best: is it slower now than it has been today?

A clock that was lowered, or a neighbour on the same core of the host, slows a whole row
evenly: nothing in the row shows it, but the fixed arithmetic that the worker times beside
it (`bench.pace`) then takes longer than it did before. Both are medians over the same time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import json
from pathlib import Path
from typing import ClassVar

from edgecnn.core import files, schema
from edgecnn.core.errors import InputError
from edgecnn.core.measurement import Measurement
from edgecnn.data.download import cache_folder

# MLPerf Mobile asks for 5 % between runs.
MAX_SLOWDOWN = 1.05
# Longer ago it may have been cooled, powered or set up in another way.
REMEMBERED = datetime.timedelta(days=1)
# The pace depends on them, and on numpy's kernels.
_SAME = ("arch", "cpu", "board", "cores", "affinity", "governor", "numpy")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Best:
    """The fastest pace of a machine; `when` is UTC, ISO 8601."""

    SCHEMA: ClassVar[str] = "edgecnn/pace/1"

    pace_ms: float
    when: str


def judged(row: Measurement, *, folder: Path | None = None) -> Measurement:
    """Return a row, not valid where its machine was slower than at its best; remember the best.

    Args:
        row: One that doesn't tell its pace stays as it is.
        folder: Of what is remembered. None: in the cache.
    """
    pace = row.machine.get("pace_ms")
    if not isinstance(pace, (int, float)) or not pace > 0:
        return row
    path = (folder or cache_folder() / "pace") / f"{_key(row)}.json"
    best_ms = _best_ms(path, datetime.datetime.fromisoformat(row.when))
    if best_ms is None or pace < best_ms:
        # What can't be remembered only makes later rows harder to judge.
        with contextlib.suppress(InputError):
            files.write_text(path, schema.dumps(Best(pace_ms=pace, when=row.when)))
        return row
    if pace <= MAX_SLOWDOWN * best_ms:
        return row
    slower = 100 * (pace / best_ms - 1)
    reason = f"slow machine: fixed arithmetic takes {slower:.0f} % longer than at its best today"
    return dataclasses.replace(row, valid=False, invalid_reasons=(*row.invalid_reasons, reason))


def _key(row: Measurement) -> str:
    about = [row.target, row.threads, *(row.machine.get(name) for name in _SAME)]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]


def _best_ms(path: Path, now: datetime.datetime) -> float | None:
    try:
        best = schema.read(Best, path)
        age = now - datetime.datetime.fromisoformat(best.when)
    except (InputError, TypeError, ValueError):  # none yet, or damaged: as good as none
        return None
    return best.pace_ms if datetime.timedelta() <= age < REMEMBERED else None
