"""What the bundle's runner answered over ssh, as a row or as the reason why there is none."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgecnn.bench import Protocol
from edgecnn.core import schema
from edgecnn.core.errors import InputError
from edgecnn.core.measurement import Measurement
from edgecnn.targets.cooling import judged


def portable(protocol: Protocol) -> dict[str, Any]:
    """Return a protocol for the runner; operations are timed elsewhere."""
    return {**dataclasses.asdict(protocol), "per_op": False}


def read_row(told: Mapping[str, Any], path: Path, name: str) -> Measurement:
    """Read the runner's one row.

    Raises:
        InputError: what went wrong over there.
    """
    if told["late"]:
        raise InputError("no answer in time", where=f"{name}: {path}", fix="measure fewer runs")
    said = schema.parse(told["stdout"] or "{}", where=f"{name}'s answer")
    if told["code"] or not isinstance(said, dict) or "measurements" not in said:
        raise _failure(told, said, path, name)
    (row,) = (
        schema.decode(Measurement, one, where=f"{name}'s row") for one in said["measurements"]
    )
    # A board without a clock of its own may believe that it's 1970.
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    row = dataclasses.replace(row, model=path.name, target=name, when=now)
    return judged(row, told["samples"])


def _failure(told: Mapping[str, Any], said: Any, path: Path, name: str) -> InputError:
    error = said.get("error") if isinstance(said, dict) else None
    where = f"{name}: {path.name}"
    killed = told["code"] == -9 or (error and "SIGKILL" in str(error.get("what")))
    if killed and told["oom_kills"] > 0:
        return InputError(
            "a worker that the kernel killed for memory",
            where=where,
            fix="use a smaller file or fewer threads, or end other programs there",
        )
    if error:
        return InputError(str(error.get("what")), where=where, fix=str(error.get("fix")))
    last = (told["stderr"].strip().splitlines() or [f"status {told['code']}"])[-1]
    return InputError(f"a runner that failed ({last[:200]})", where=where, fix="try it once more")
