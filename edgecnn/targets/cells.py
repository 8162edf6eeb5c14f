"""One row to measure: a job on a target, when it is the board's turn."""

from __future__ import annotations

import dataclasses

from edgecnn import bench
from edgecnn.bench import Job
from edgecnn.core.errors import InputError, MissingExtra
from edgecnn.core.measurement import Measurement
from edgecnn.targets.best_pace import judged
from edgecnn.targets.target import Target
from edgecnn.targets.turns import THIS_MACHINE, board_of, turn


@dataclasses.dataclass(frozen=True)
class Cell:
    """What one row measures, and where."""

    job: Job
    target: Target

    @property
    def board(self) -> str:
        """What does one thing at a time; a prediction is this machine's work."""
        return board_of(self.target.place.name) or THIS_MACHINE


def measure_cell(cell: Cell) -> Measurement:
    """Measure one row when it is its board's turn; what fails becomes a row that says why.

    Raises:
        MissingExtra: the runtime is not installed there.
    """
    try:
        with turn(cell.target.place.name):
            return judged(cell.target.measure(cell.job))
    except MissingExtra:
        raise
    except InputError as error:
        return failed(cell, error)


def failed(cell: Cell, error: InputError) -> Measurement:
    """Make the row of what could not be measured."""
    return bench.unmeasured(cell.job, str(error), place=cell.target.place)


def close(target: Target) -> None:
    """Let go of a board that stays connected between rows; the next row connects again."""
    end = getattr(target, "close", None)
    if end is not None:
        end()
