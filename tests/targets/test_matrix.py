from __future__ import annotations

import dataclasses
import json
import threading
import time
from pathlib import Path

import pytest

from edgecnn import targets
from edgecnn.bench import Job, Place, ThisMachine, read_protocol, unmeasured
from edgecnn.core import progress, schema
from edgecnn.core.errors import InputError
from edgecnn.core.measurement import Accuracy, Latency, Measurement


class Stopwatch:
    """A target that measures without a runtime: as many milliseconds as the file has bytes."""

    place: Place = ThisMachine()

    def measure(self, job: Job) -> Measurement:
        content = job.path.read_text()
        if content == "broken":
            raise InputError("a broken file", where=job.path, fix="export it again")
        blank = unmeasured(job, "no answer", place=self.place)
        latency = Latency(init=1, first=1, warmup_runs=1, samples_ms=(len(content),) * 64)
        return dataclasses.replace(
            blank, latency_ms=latency, accuracy=job.accuracy, valid=True, invalid_reasons=()
        )


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / name for name in ("a.tflite", "b.tflite", "c.onnx")]
    for path, content in zip(paths, ("xx", "broken", "xxxx"), strict=True):
        path.write_text(content)
    return paths


def test_each_file_meets_each_number_of_threads_once(models: list[Path]) -> None:
    rows = targets.run_matrix(models, targets=[Stopwatch()], threads=[1, 2, 2])
    assert [(row.model, row.threads) for row in rows] == [
        (name, count) for name in ("a.tflite", "b.tflite", "c.onnx") for count in (1, 2)
    ]


def test_a_file_that_fails_leaves_the_others_their_rows(models: list[Path]) -> None:
    good, bad, other = targets.run_matrix(models, targets=[Stopwatch()])
    assert good.valid
    assert other.valid
    assert not bad.valid
    assert bad.latency_ms is None
    (reason,) = bad.invalid_reasons
    assert reason.startswith("a broken file in ")
    assert (bad.model, bad.runtime, bad.bytes) == ("b.tflite", "litert", 6)


def test_a_files_accuracy_goes_into_its_row_alone(models: list[Path]) -> None:
    accuracy = Accuracy(data="photos", n=9, top1=1.0)
    first, _, last = targets.run_matrix(
        models, targets=[Stopwatch()], accuracies={models[0]: accuracy}
    )
    assert (first.accuracy, last.accuracy) == (accuracy, None)


def test_rows_lie_in_the_folder_one_file_each(models: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "results"
    rows = targets.run_matrix(models, targets=[Stopwatch()], threads=[1, 2], out=out)
    stored = [schema.read(Measurement, path) for path in sorted(out.iterdir())]
    assert stored == sorted(rows, key=lambda row: (row.model, row.threads))
    assert (out / "a.tflite-cpu-litert-2t.json").is_file()


def test_the_same_row_is_replaced_and_another_is_added(models: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "results"
    targets.run_matrix(models[:1], targets=[Stopwatch()], out=out)
    models[0].write_text("longer than before")
    targets.run_matrix(models[:1], targets=[Stopwatch()], threads=[1, 4], out=out)
    medians = {
        path.name: json.loads(path.read_text())["latency_ms"]["median"] for path in out.iterdir()
    }
    assert medians == {"a.tflite-cpu-litert-1t.json": 18, "a.tflite-cpu-litert-4t.json": 18}


def test_rows_measured_before_an_interruption_are_kept(models: list[Path], tmp_path: Path) -> None:
    class Interrupted(Stopwatch):
        def measure(self, job: Job) -> Measurement:
            if job.path.name == "c.onnx":
                raise KeyboardInterrupt
            return super().measure(job)

    out = tmp_path / "results"
    with pytest.raises(KeyboardInterrupt):
        targets.run_matrix(models, targets=[Interrupted()], out=out)
    assert len(list(out.iterdir())) == 2


def test_a_name_cannot_leave_the_folder(models: list[Path], tmp_path: Path) -> None:
    (row,) = targets.run_matrix(models[:1], targets=[Stopwatch()])
    hostile = dataclasses.replace(row, model="../../x y.tflite", target="ssh:pi@board:/tmp")
    path = targets.save(hostile, tmp_path / "results")
    assert path.parent == tmp_path / "results"
    assert path.is_file()


def test_a_folder_that_cannot_be_made_is_one_line(models: list[Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot write"):
        targets.run_matrix(models[:1], targets=[Stopwatch()], out=tmp_path / "file" / "results")


def test_files_that_would_share_a_row_are_refused_before_anything_runs(
    models: list[Path], tmp_path: Path
) -> None:
    twin = tmp_path / "other" / "a.tflite"
    twin.parent.mkdir()
    twin.write_text("xx")
    with pytest.raises(InputError, match="rename one of them"):
        targets.run_matrix([*models, twin], targets=[Stopwatch()])


def test_a_file_named_twice_is_measured_once(models: list[Path]) -> None:
    assert len(targets.run_matrix([models[0], models[0]], targets=[Stopwatch()])) == 1


def test_bad_options_and_missing_files_end_it_at_once(models: list[Path]) -> None:
    with pytest.raises(InputError, match="no such file"):
        targets.run_matrix([*models, Path("nothing.tflite")], targets=[Stopwatch()])
    with pytest.raises(InputError, match="threads"):
        targets.run_matrix(models, targets=[Stopwatch()], threads=[1, 0])
    with pytest.raises(InputError, match="no runtime"):
        targets.run_matrix(models, targets=[Stopwatch()], runtime="nothing")


def test_real_files_broken_ones_too_give_rows(shared: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"\x1c\0\0\0TFL3" + bytes(range(200)))
    foreign = shared / "models" / "mobilenet_v1_0.25_128_quant.tflite"
    good, bad = targets.run_matrix([foreign, broken], protocol=read_protocol(runs=64))
    assert good.latency_ms is not None
    assert bad.latency_ms is None
    assert "broken.tflite" in bad.invalid_reasons[0]


@dataclasses.dataclass(frozen=True)
class Named:
    """A place that is only a name."""

    name: str

    def run(self, request: dict[str, object], *, timeout_seconds: float) -> dict[str, object]:
        raise NotImplementedError


class Board(Stopwatch):
    """A stopwatch of some name that notes who measures at the same time."""

    def __init__(self, name: str, log: list[tuple[str, str]], seconds: float = 0.02) -> None:
        self.place = Named(name)
        self._log, self._seconds = log, seconds

    def measure(self, job: Job) -> Measurement:
        self._log.append((self.place.name, "in"))
        time.sleep(self._seconds)
        row = super().measure(job)
        self._log.append((self.place.name, "out"))
        return row


def test_boards_measure_side_by_side_and_each_one_thing_at_a_time(models: list[Path]) -> None:
    log: list[tuple[str, str]] = []
    both = threading.Barrier(2, timeout=10)

    class Meeting(Board):
        """Its first measurement begins only when the other board's does."""

        def measure(self, job: Job) -> Measurement:
            if job.path.name == "a.tflite":
                both.wait()
            return super().measure(job)

    boards = [Meeting("ssh:turns-a", log), Meeting("ssh:pi@turns-b", log)]
    rows = targets.run_matrix([models[0], models[2]], targets=boards)
    assert [(row.model, row.target) for row in rows] == [
        (name, board.place.name) for name in ("a.tflite", "c.onnx") for board in boards
    ]
    for board in boards:
        own = [what for name, what in log if name == board.place.name]
        assert own == ["in", "out"] * 2


def test_names_of_one_board_take_turns(models: list[Path]) -> None:
    log: list[tuple[str, str]] = []
    boards = [Board("ssh:turns-c", log), Board("ssh:pi@turns-c", log), Board("predicted:x", log)]
    targets.run_matrix(models[:1], targets=boards)
    steps = [what for name, what in log if name != "predicted:x"]
    assert steps == ["in", "out"] * 2


def test_what_ends_one_board_ends_the_others_after_their_row(models: list[Path]) -> None:
    log: list[tuple[str, str]] = []

    class Broken(Board):
        def measure(self, job: Job) -> Measurement:
            raise RuntimeError("a fault")

    boards = [Broken("ssh:turns-d", log), Board("ssh:turns-e", log, seconds=0.3)]
    with pytest.raises(RuntimeError, match="a fault"):
        targets.run_matrix(models, targets=boards)
    assert len(log) <= 2


def test_a_quiet_run_is_quiet_on_all_boards(
    models: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    class Talking(Board):
        def measure(self, job: Job) -> Measurement:
            progress.say("measuring")
            return super().measure(job)

    quiet = progress.QUIET.set(True)
    try:
        boards = [Talking("ssh:turns-f", []), Talking("ssh:turns-g", [])]
        targets.run_matrix(models[:1], targets=boards)
    finally:
        progress.QUIET.reset(quiet)
    assert capsys.readouterr().err == ""
