from __future__ import annotations

import dataclasses
import json
import statistics
from pathlib import Path

import pytest

from edgecnn import cli, targets
from edgecnn.bench import Job, Protocol
from edgecnn.core import schema
from edgecnn.core.errors import InputError
from edgecnn.core.measurement import Measurement
from edgecnn.report.collect import collect
from edgecnn.report.rows import build
from edgecnn.runtime import arena
from edgecnn.runtime.inspect import read_graph
from edgecnn.targets.calibration import read_calibration
from edgecnn.targets.published import published


@pytest.fixture
def file(tiny_files: Path) -> Path:
    return tiny_files / "tiny-int8.tflite"


@pytest.fixture
def row(file: Path) -> Measurement:
    return targets.parse("predicted:pi4").measure(Job(file, threads=4))


def test_a_prediction_is_never_a_measurement(row: Measurement) -> None:
    assert row.latency_ms is None
    assert row.memory_mb is None
    assert not row.valid
    assert row.predicted_ms
    assert 0 < row.predicted_ms.low < row.predicted_ms.mid < row.predicted_ms.high
    (reason,) = row.invalid_reasons
    assert reason.startswith("a prediction, not a measurement: ")
    assert (row.target, row.threads) == ("predicted:raspberry-pi-4", 4)


def test_the_stated_errors_are_those_of_the_rows_left_out(row: Measurement) -> None:
    off = [max(error, 1 / error) for error in read_calibration().errors.row]
    assert row.prediction
    assert row.prediction.measurements == len(published()) == len(off)
    assert row.prediction.median_factor == pytest.approx(statistics.median(off))
    assert row.prediction.worst_factor == pytest.approx(max(off))
    assert f"{statistics.median(off):.2f} in the median" in row.invalid_reasons[0]


def test_arena_and_size_are_exact(row: Measurement, file: Path) -> None:
    assert row.prediction
    planned = arena.planned_arena_bytes(read_graph(file))
    assert row.prediction.arena_mb == planned / 1e6
    assert row.bytes == file.stat().st_size


def test_a_row_comes_back_from_its_json_and_old_rows_still_load(row: Measurement) -> None:
    text = schema.dumps(row)
    assert schema.loads(Measurement, text, where="row") == row
    old = json.loads(text)
    del old["predicted_ms"], old["prediction"]
    assert schema.decode(Measurement, old, where="row").predicted_ms is None


def test_a_prediction_that_claims_to_be_valid_is_refused(row: Measurement) -> None:
    with pytest.raises(ValueError, match="poses as a measurement"):
        dataclasses.replace(row, valid=True, invalid_reasons=())


def test_no_report_shows_a_prediction_as_a_latency(row: Measurement, tmp_path: Path) -> None:
    targets.save(row, tmp_path)
    (shown,) = build(collect([tmp_path]))
    assert shown.median_ms is None
    assert shown.p90_ms is None
    assert shown.valid is False


def test_a_newer_board_is_predicted_faster_and_int8_faster_than_float(tiny_files: Path) -> None:
    def middle(board: str, scheme: str) -> float:
        row = targets.parse(f"predicted:{board}").measure(Job(tiny_files / f"tiny-{scheme}.tflite"))
        assert row.predicted_ms
        return row.predicted_ms.mid

    assert middle("pi5", "int8") < middle("pi4", "int8") < middle("pi3", "int8")
    assert middle("pi3", "int8") < middle("pi-zero2w", "int8")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("predicted:pi6", "no device 'pi6' in --target predicted: try pi"),
        ("predicted:../pi4", "no device"),
        ("predicted:PI 4", "no device"),
        ("predicted:", "predicted"),
    ],
)
def test_an_unknown_board_is_refused_with_the_nearest(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        targets.parse(text)


def test_what_nobody_published_is_not_predicted(tiny_files: Path) -> None:
    board = targets.parse("predicted:pi5")
    with pytest.raises(InputError, match="onnx files to predict from"):
        board.measure(Job(tiny_files / "tiny-float32.onnx"))
    with pytest.raises(InputError, match="8 threads for 4 cores"):
        board.measure(Job(tiny_files / "tiny-int8.tflite", threads=8))
    with pytest.raises(InputError, match="no published latencies of onnxruntime"):
        board.measure(Job(tiny_files / "tiny-int8.tflite", runtime="onnxruntime"))
    with pytest.raises(InputError, match="--batch where nothing runs"):
        board.measure(Job(tiny_files / "tiny-int8.tflite", protocol=Protocol(batch=2)))
    row = board.measure(Job(tiny_files / "tiny-int8.tflite", protocol=Protocol(per_op=True)))
    assert row.per_op_reason == "nothing runs in a prediction"
    assert row.predicted_ms
    with pytest.raises(InputError, match="name a board"):
        targets.parse("predicted:generic-arm64").measure(Job(tiny_files / "tiny-int8.tflite"))


def test_a_truncated_file_is_refused_in_one_line(file: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(file.read_bytes()[:900])
    with pytest.raises(InputError) as error:
        targets.parse("predicted:pi4").measure(Job(broken))
    assert "\n" not in str(error.value)


def test_boards_stand_side_by_side_and_say_that_they_are_predictions(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    boards = ("--target", "predicted:pi4", "--target", "predicted:raspberry-pi-5")
    assert cli.main(["bench", str(file), *boards, "--threads", "1,4"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("predicted:raspberry-pi-4") == shown.count("predicted:raspberry-pi-5") == 2
    assert shown.count("no: a prediction") == 4
    assert "each left out in turn, it was off by a factor of" in shown


def test_json_has_the_range_under_a_key_of_its_own(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["bench", str(file), "--target", "predicted:pi5", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["measurements"]
    assert row["latency_ms"] is None
    assert set(row["predicted_ms"]) == {"low", "mid", "high"}


def test_a_prediction_does_not_satisfy_require_valid(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--target", "predicted:pi5", "--require-valid"]
    assert cli.main(["bench", str(file), *options]) == 1
    assert "a prediction, not a measurement" in capsys.readouterr().err


def test_an_unknown_board_exits_2_in_one_line(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["bench", str(file), "--target", "predicted:raspbery-pi-5"]) == 2
    assert capsys.readouterr().err.strip() == (
        "error: no device 'raspbery-pi-5' in --target predicted: try raspberry-pi-5"
    )
