from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from edgecnn import targets
from edgecnn.bench import Job, Place, Protocol, ThisMachine, unmeasured
from edgecnn.core.errors import InputError
from edgecnn.core.measurement import Accuracy, Latency, Measurement


class Board:
    """A target that counts what it measures, and is unplugged when told so."""

    place: Place = ThisMachine(name="ssh:pi4")

    def __init__(self, *, unplugged_after: int = 1000) -> None:
        self.measured: list[tuple[str, int]] = []
        self.unplugged_after = unplugged_after

    def measure(self, job: Job) -> Measurement:
        if len(self.measured) == self.unplugged_after:
            raise InputError("a connection that was cut", where="ssh:pi4", fix="try again")
        self.measured.append((job.path.name, job.threads))
        row = unmeasured(job, "none", place=self.place)
        latency = Latency(init=1, first=1, warmup_runs=1, samples_ms=(1.0,) * 64)
        return dataclasses.replace(
            row, latency_ms=latency, accuracy=job.accuracy, valid=True, invalid_reasons=()
        )


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "a.tflite", tmp_path / "b.onnx"]
    for path in paths:
        path.write_text(path.name)
    return paths


def run(board: Board, models: list[Path], out: Path, **more: Any) -> list[Measurement]:
    usual = {"targets": [board], "threads": (1, 2), "out": out, "resume": True}
    return targets.run_matrix(models, **{**usual, **more})


def test_a_run_that_was_cut_goes_on_where_it_was(models: list[Path], tmp_path: Path) -> None:
    first = Board(unplugged_after=3)
    rows = run(first, models, tmp_path / "out")
    assert [row.latency_ms is None for row in rows] == [False, False, False, True]
    second = Board()
    rows = run(second, models, tmp_path / "out")
    assert second.measured == [("b.onnx", 2)]
    assert [(row.model, row.threads) for row in rows] == [
        ("a.tflite", 1), ("a.tflite", 2), ("b.onnx", 1), ("b.onnx", 2),
    ]  # fmt: skip
    assert None not in [row.latency_ms for row in rows]
    third = Board()
    assert run(third, models, tmp_path / "out") == rows
    assert third.measured == []


def test_unless_asked_all_is_measured_anew(models: list[Path], tmp_path: Path) -> None:
    run(Board(), models, tmp_path / "out")
    again = Board()
    run(again, models, tmp_path / "out", resume=False)
    assert len(again.measured) == 4


def test_another_file_protocol_runtime_or_target_is_another_row(
    models: list[Path], tmp_path: Path
) -> None:
    run(Board(), models, tmp_path / "out")
    models[0].write_text("exported again")
    changed = Board()
    run(changed, models, tmp_path / "out")
    assert changed.measured == [("a.tflite", 1), ("a.tflite", 2)]
    longer = Board()
    run(longer, models, tmp_path / "out", protocol=Protocol(seconds=9))
    assert len(longer.measured) == 4
    profiled = Board()
    run(profiled, models, tmp_path / "out", protocol=Protocol(seconds=9, per_op=True))
    assert len(profiled.measured) == 4
    elsewhere = Board()
    elsewhere.place = ThisMachine(name="ssh:pi5")
    run(elsewhere, models, tmp_path / "out", protocol=Protocol(seconds=9))
    assert len(elsewhere.measured) == 4
    other = Board()
    run(other, models[:1], tmp_path / "out", runtime="tflite-runtime")
    assert len(other.measured) == 2


def test_what_else_lies_in_the_folder_is_passed_over(models: list[Path], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "verify.json").write_text("{}")
    (tmp_path / "out" / "half.json").write_text('{"schema": "edgecnn/meas')
    board = Board()
    run(board, models, tmp_path / "out")
    assert len(board.measured) == 4


def test_an_accuracy_that_was_judged_now_goes_into_an_earlier_row(
    models: list[Path], tmp_path: Path
) -> None:
    run(Board(), models, tmp_path / "out")
    judged = Accuracy(data="photos", n=10, top1=0.9)
    rows = run(Board(), models, tmp_path / "out", accuracies={models[0]: judged})
    assert [row.accuracy for row in rows] == [judged, judged, None, None]
