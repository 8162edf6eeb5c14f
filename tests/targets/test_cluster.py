"""A real scheduler and real worker processes on loopback."""

from __future__ import annotations

import dataclasses
import itertools
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgecnn import bench, targets
from edgecnn.core.errors import InputError
from edgecnn.core.measurement import Latency, Measurement

distributed = pytest.importorskip("distributed")
cloudpickle = pytest.importorskip("cloudpickle")
dask_config = pytest.importorskip("dask.config")
# The workers don't find this module by its name.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

# Dask's own sockets and loops end a little later than its objects.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@dataclasses.dataclass(frozen=True)
class Named:
    name: str

    def run(self, request: dict[str, Any], *, timeout_seconds: float) -> dict[str, Any]:
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Board:
    """A board of some name whose measurements leave their times and process in a folder."""

    name: str
    log: str

    @property
    def place(self) -> Named:
        return Named(self.name)

    def measure(self, job: bench.Job) -> Measurement:
        content = job.path.read_text()
        if content == "broken":
            raise InputError("a broken file", where=job.path, fix="export it again")
        if content == "deadly":
            os._exit(9)
        begin = time.time()  # noqa: TID251 - compared between processes
        time.sleep(0.2)
        end = time.time()  # noqa: TID251 - as above
        board = self.name.rpartition("@")[2].removeprefix("ssh:")
        Path(self.log, f"{board} {begin} {end} {os.getpid()}").touch()
        row = bench.unmeasured(job, "no answer", place=self.place)
        latency = Latency(init=1, first=1, warmup_runs=1, samples_ms=(len(content),) * 64)
        return dataclasses.replace(row, latency_ms=latency, valid=True, invalid_reasons=())


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    hasty = {
        "distributed.scheduler.allowed-failures": 0,
        "distributed.scheduler.locks.lease-timeout": "2s",
        "distributed.scheduler.locks.lease-validation-interval": "1s",
    }
    with (
        dask_config.set(hasty),
        distributed.LocalCluster(
            n_workers=3, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
    ):
        yield cluster.scheduler_address


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / name for name in ("a.tflite", "b.tflite", "c.onnx")]
    for path, content in zip(paths, ("xx", "broken", "xxxx"), strict=True):
        path.write_text(content)
    return paths


def times(log: Path) -> dict[str, list[tuple[float, float]]]:
    """Return begin and end of each board's measurements, in order."""
    found: dict[str, list[tuple[float, float]]] = {}
    for path in log.iterdir():
        board, begin, end, _ = path.name.split()
        found.setdefault(board, []).append((float(begin), float(end)))
    return {board: sorted(spans) for board, spans in found.items()}


@pytest.mark.slow
def test_workers_measure_boards_side_by_side_and_each_one_thing_at_a_time(
    address: str, models: list[Path], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.mkdir()
    boards = [Board(name, str(log)) for name in ("ssh:far-a", "ssh:pi@far-a", "ssh:far-b")]
    out = tmp_path / "out"
    rows = targets.run_matrix(models, targets=boards, threads=[1, 2], cluster=address, out=out)
    assert [(row.model, row.target, row.threads) for row in rows] == [
        (path.name, board.name, count)
        for path, board, count in itertools.product(models, boards, (1, 2))
    ]
    assert all(("a broken file" in str(row.invalid_reasons)) == (row.model == "b.tflite")
               for row in rows)  # fmt: skip
    assert len(list(out.glob("*.json"))) == len(rows)
    seen = times(log)
    assert {board: len(spans) for board, spans in seen.items()} == {"far-a": 8, "far-b": 4}
    for spans in seen.values():
        assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))
    both = [a[0] < b[1] and b[0] < a[1] for a in seen["far-a"] for b in seen["far-b"]]
    assert any(both)


@pytest.mark.slow
def test_two_runs_on_one_cluster_share_a_board_in_turns(
    address: str, models: list[Path], tmp_path: Path
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    log = tmp_path / "log"
    log.mkdir()

    def run(_: int) -> list[Measurement]:
        board = Board("ssh:far-c", str(log))
        return targets.run_matrix([models[0], models[2]], targets=[board], cluster=address)

    with ThreadPoolExecutor(2) as pool:
        assert [len(rows) for rows in pool.map(run, range(2))] == [2, 2]
    (spans,) = times(log).values()
    assert len(spans) == 4
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))


@pytest.mark.slow
def test_a_worker_that_dies_is_a_row_and_the_others_go_on(
    address: str, models: list[Path], tmp_path: Path
) -> None:
    models[0].write_text("deadly")
    boards = [Board("ssh:far-d", str(tmp_path)), Board("ssh:far-e", str(tmp_path))]
    rows = targets.run_matrix([models[0], models[2]], targets=boards[:1], cluster=address)
    assert "a worker that failed (KilledWorker" in rows[0].invalid_reasons[0]
    assert rows[1].valid


@pytest.mark.parametrize("name", ["cpu", "gpu", "emulated:pi4"])
def test_this_machine_is_no_worker(name: str, models: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="this machine and no worker's"):
        targets.run_matrix(models, targets=[Board(name, str(tmp_path))], cluster="tcp://x:1")


@pytest.mark.parametrize("address", ["nonsense", "foo://1"])
def test_no_scheduler_is_one_line(address: str, models: list[Path], tmp_path: Path) -> None:
    board = Board("ssh:far-f", str(tmp_path))
    with pytest.raises(InputError, match="no Dask scheduler"):
        targets.run_matrix(models, targets=[board], cluster=address)
