from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgecnn.bench import Job, Protocol
from edgecnn.core import schema
from edgecnn.core.errors import InputError
from edgecnn.core.measurement import Measurement
from edgecnn.targets import parse, run_matrix
from edgecnn.targets.emulated import EmulatedTarget, Machine

pytestmark = [pytest.mark.board, pytest.mark.tensorflow, pytest.mark.slow]

Measure = Callable[[str, Path], Measurement]


@pytest.fixture(scope="session")
def measured(emulated: Callable[[str], Machine]) -> Measure:
    """A function that measures a file on a board: name, path."""

    def measure(name: str, path: Path) -> Measurement:
        there = emulated(name)
        return EmulatedTarget(there.board, there).measure(Job(path))

    return measure


@pytest.mark.parametrize("name", ["tiny-int8.tflite", "tiny-float32.onnx"])
def test_two_runs_count_the_same_instructions(
    measured: Measure, tiny_files: Path, name: str
) -> None:
    first, second = (measured("pi4", tiny_files / name) for _ in range(2))
    assert first.instructions == second.instructions
    assert first.protocol["counts"] == second.protocol["counts"]
    assert first.instructions is not None
    # A network of some ten thousand multiplications, and the runtime around it.
    assert 20_000 < first.instructions < 20_000_000
    spread = max(first.protocol["counts"]) - min(first.protocol["counts"])
    assert spread < 0.02 * first.instructions


def test_dot_products_save_instructions_of_int8_alone(measured: Measure, tiny_files: Path) -> None:
    def ratio(name: str) -> float:
        with_them, without = (
            measured(board, tiny_files / name).instructions or 0 for board in ("pi5", "pi4")
        )
        return with_them / without

    assert ratio("tiny-int8.tflite") < 0.9
    assert ratio("tiny-float32.tflite") > 0.9


def test_a_row_has_no_latency_and_says_what_it_has(measured: Measure, tiny_files: Path) -> None:
    row = measured("pi5", tiny_files / "tiny-float32.tflite")
    assert (row.target, row.runtime, row.delegate) == ("emulated:pi5", "litert", "XNNPACK")
    assert (row.latency_ms, row.preprocess_ms, row.postprocess_ms) == (None, None, None)
    assert not row.valid
    assert row.invalid_reasons == ("emulated: no latency, instructions instead",)
    assert row.memory_mb is not None
    # Without the emulator's own tens of megabytes.
    assert 40 < row.memory_mb.baseline < row.memory_mb.rss_peak < 80
    assert row.machine["arch"] == "aarch64"
    assert row.machine["emulated_cpu"] == "cortex-a76"
    assert row.machine["answers"]["agreement_pct"] == 100
    assert row.machine["answers"]["max_abs_diff"] <= 1e-5
    assert schema.decode(Measurement, json.loads(schema.dumps(row)), where="row") == row


def test_a_32_bit_system_answers_alike(measured: Measure, tiny_files: Path) -> None:
    row = measured("pi3-32bit", tiny_files / "tiny-float32.tflite")
    assert (row.runtime, row.machine["arch"]) == ("tflite-runtime", "armv7l")
    assert row.machine["answers"]["max_abs_diff"] <= 1e-5
    assert row.instructions
    with pytest.raises(InputError, match="ONNX for a 32-bit system"):
        measured("pi3-32bit", tiny_files / "tiny-float32.onnx")


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"threads": 2}, "instructions of 2 threads"),
        ({"protocol": Protocol(per_op=True)}, "--per-op"),
        ({"runtime": "onnxruntime"}, "no onnxruntime there"),
    ],
)
def test_what_cannot_be_counted_is_refused_before_a_board_starts(
    tiny_files: Path, asked: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        parse("emulated:pi4").measure(Job(tiny_files / "tiny-int8.tflite", **asked))


def test_a_file_that_is_no_model_is_a_row_with_its_reason(
    emulated: Callable[[str], Machine], tiny_files: Path, tmp_path: Path
) -> None:
    whole = (tiny_files / "tiny-int8.tflite").read_bytes()
    (tmp_path / "cut.tflite").write_bytes(whole[: len(whole) // 2])
    there = emulated("pi4")
    target = EmulatedTarget(there.board, there)
    rows = run_matrix([tmp_path / "cut.tflite", tiny_files / "tiny-int8.tflite"], targets=[target])
    assert [row.instructions is None for row in rows] == [True, False]
    assert "cut.tflite" in rows[0].invalid_reasons[0]


def test_a_board_that_is_unplugged_is_named(
    emulated: Callable[[str], Machine], tiny_files: Path
) -> None:
    there = emulated("pi-zero2w")
    there.unplug()
    with pytest.raises(InputError, match="ssh:pi-zero2w"):
        EmulatedTarget(there.board, there).measure(Job(tiny_files / "tiny-int8.tflite"))


def edgecnn(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgecnn", *words]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=cwd, timeout=300
    )


def test_the_command_line_counts_compares_and_gates(
    emulated: Callable[[str], Machine],
    tiny_files: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    emulated("pi4")  # skips where there can be no board
    (tmp_path / "scratch").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    file = tiny_files / "tiny-int8.tflite"
    for out in ("first", "second"):
        words = ("--target", "emulated:pi4", "--require-valid", "--out", out)
        done = edgecnn("bench", file, *words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "instructions" in done.stdout
        assert "counted" in done.stdout
    assert list((tmp_path / "scratch").iterdir()) == []
    gate = ("--gate", "instructions:0.1%")
    same = edgecnn("compare", "first", "second", *gate, cwd=tmp_path)
    assert same.returncode == 0, same.stderr
    (path,) = (tmp_path / "second").glob("*.json")
    row = schema.decode(Measurement, json.loads(path.read_text()), where=path)
    assert row.instructions is not None
    more = dataclasses.replace(row, instructions=round(row.instructions * 1.002))
    path.write_text(schema.dumps(more))
    broken = edgecnn("compare", "first", "second", *gate, cwd=tmp_path)
    assert broken.returncode == 1
    assert "instructions" in broken.stderr + broken.stdout
