"""Measurements driven by an existing Dask cluster: its workers reach the boards.

What holds on one machine holds there: a board measures one thing after the other, within this
run since its next row begins when its last one has ended, and against other runs by a lock
that the cluster's scheduler keeps under the board's name.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from edgecnn.bench import Job
from edgecnn.core import schema
from edgecnn.core.errors import InputError, MissingExtra
from edgecnn.core.measurement import Measurement
from edgecnn.targets.cells import Cell, close, failed, measure_cell
from edgecnn.targets.turns import THIS_MACHINE, board_of

_WHERE = "--cluster"
_PATIENCE_SECONDS = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class Order:
    """What one task measures, as it travels to a worker.

    Attributes:
        open_target: Makes the target anew: an open connection doesn't travel.
        job: What to measure; the file isn't there yet.
        content: The file's bytes; each order brings them, since what a worker keeps dies with it.
        board: Whose lock is held.
    """

    open_target: Callable[[], Any]
    job: Job
    content: bytes
    board: str


def measure_on_cluster(
    cells: Sequence[Cell],
    address: str,
    finished: Callable[[int, Measurement], None],
) -> None:
    """Measure cells by a cluster's workers, boards side by side.

    Args:
        cells: What to measure.
        address: Of the scheduler, such as tcp://10.0.0.1:8786.
        finished: Gets each row with its cell's index, as soon as it is there.

    Raises:
        InputError: no such cluster, or a target that is this machine.
        MissingExtra: Dask is not installed.
    """
    for cell in cells:
        _refuse_here(cell)
    boards: dict[str, deque[int]] = {}
    for index, cell in enumerate(cells):
        boards.setdefault(cell.board, deque()).append(index)
    with _client(address) as (client, as_completed):
        running: dict[Any, int] = {}

        def submit(queue: deque[int]) -> Any:
            index = queue.popleft()
            order = _order(cells[index])
            task = client.submit(_measured, order, pure=False, retries=0)
            running[task] = index
            return task

        tasks = as_completed([submit(queue) for queue in boards.values()])
        for task in tasks:
            index = running.pop(task)
            finished(index, _row(task, cells[index]))
            if queue := boards[cells[index].board]:
                tasks.add(submit(queue))


def _refuse_here(cell: Cell) -> None:
    name = cell.target.place.name
    if board_of(name) == THIS_MACHINE:
        raise InputError(
            f"{name}, which is this machine and no worker's",
            where=_WHERE,
            fix="name machines as ssh:HOST, or leave --cluster out",
        )


@contextlib.contextmanager
def _client(address: str) -> Iterator[tuple[Any, Any]]:
    try:
        import dask.config
        import distributed
    except ModuleNotFoundError:
        raise MissingExtra("measuring on a cluster", "cluster") from None
    try:
        client = distributed.Client(address, timeout=_PATIENCE_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"no Dask scheduler ({error})", where=f"{_WHERE} {address}", fix="check the address"
        ) from error
    # A model's bytes are no large graph by mistake.
    with client, dask.config.set({"distributed.admin.large-graph-warning-threshold": "4 GB"}):
        yield client, functools.partial(distributed.as_completed, loop=client.loop)


def _order(cell: Cell) -> Order:
    target: Any = cell.target
    kind: Callable[..., Any] = type(target)
    fields = {f.name: getattr(target, f.name) for f in dataclasses.fields(target) if f.init}
    return Order(
        open_target=functools.partial(kind, **fields),
        job=cell.job,
        content=cell.job.path.read_bytes(),
        board=cell.board,
    )


def _measured(order: Order) -> str:
    """Measure on a worker; returns the row's JSON."""
    import distributed

    with tempfile.TemporaryDirectory() as folder, distributed.Lock(f"edgecnn {order.board}"):
        path = Path(folder) / order.job.path.name
        path.write_bytes(order.content)
        target = order.open_target()
        cell = Cell(dataclasses.replace(order.job, path=path), target)
        try:
            return schema.dumps(measure_cell(cell))
        except MissingExtra as error:
            return schema.dumps(failed(cell, error))
        finally:
            close(target)


def _row(task: Any, cell: Cell) -> Measurement:
    """Return a task's row; a task that failed by itself is a row that says why."""
    try:
        return schema.loads(Measurement, task.result(), where=_WHERE)
    except Exception as error:  # noqa: BLE001 - whatever a worker died of is the row's reason
        told = InputError(
            f"a worker that failed ({type(error).__name__}: {error})",
            where=_WHERE,
            fix="look at its log",
        )
        return failed(cell, told)
