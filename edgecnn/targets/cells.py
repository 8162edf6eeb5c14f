"""One row to measure: a file on a target with some threads, when it is the board's turn."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from edgecnn import bench
from edgecnn.core.errors import InputError, MissingExtra
from edgecnn.core.measurement import Accuracy, Measurement
from edgecnn.targets.target import Target
from edgecnn.targets.turns import THIS_MACHINE, board_of, turn


@dataclasses.dataclass(frozen=True)
class Cell:
    """What one row measures.

    Attributes:
        path: The file.
        target: Where.
        threads: Of the runtime.
        runtime: None: the format's own.
        accuracy: What the file reached on photos, if anybody judged it; goes into the row.
    """

    path: Path
    target: Target
    threads: int
    runtime: str | None = None
    accuracy: Accuracy | None = None

    @property
    def board(self) -> str:
        """What does one thing at a time; a prediction is this machine's work."""
        return board_of(self.target.place.name) or THIS_MACHINE


def measure_cell(cell: Cell, protocol: bench.Protocol) -> Measurement:
    """Measure one row when it is its board's turn; what fails becomes a row that says why.

    Raises:
        MissingExtra: the runtime is not installed there.
    """
    try:
        with turn(cell.target.place.name):
            return cell.target.measure(
                cell.path,
                runtime=cell.runtime,
                threads=cell.threads,
                protocol=protocol,
                accuracy=cell.accuracy,
            )
    except MissingExtra:
        raise
    except InputError as error:
        return failed(cell, error, protocol)


def failed(cell: Cell, error: InputError, protocol: bench.Protocol) -> Measurement:
    """Make the row of what could not be measured."""
    return bench.unmeasured(
        cell.path,
        str(error),
        runtime=cell.runtime,
        threads=cell.threads,
        protocol=protocol,
        place=cell.target.place,
    )


def close(target: Target) -> None:
    """Let go of a board that stays connected between rows; the next row connects again."""
    end = getattr(target, "close", None)
    if end is not None:
        end()
