"""The whole search on a small real checkpoint, and what a second run believes of the first."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgecnn import targets
from edgecnn.bench import Protocol
from edgecnn.core import schema
from edgecnn.core.errors import InputError
from edgecnn.core.files import sha256
from edgecnn.core.measurement import Measurement
from edgecnn.flows.tuning import Search, Tuned, refuse_unknown_limits, tune
from edgecnn.flows.tuning_answers import Judged
from edgecnn.flows.tuning_files import Wanted, check_schemes, read_checkpoints
from edgecnn.flows.tuning_rows import Settings, measured, usual_formats, usual_threads
from edgecnn.report.pareto import Budget

QUICK = Protocol(seconds=0.02, runs=3, warmup_seconds=0.01, warmup_runs=1, max_seconds=5)

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]


def search(target: str = "cpu", **changes: Any) -> Search:
    place = targets.parse(target)
    settings = Settings(target=place, runtimes=("litert",), threads=(1,), protocol=QUICK)
    wanted = Wanted(schemes=("float32", "int8"), formats=("tflite",))
    return dataclasses.replace(Search(settings=settings, wanted=wanted), **changes)


@pytest.fixture(scope="module")
def first(checkpoint: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tuned]:
    out = tmp_path_factory.mktemp("tuned") / "out"
    return out, tune([checkpoint.path], search(), out)


@pytest.fixture
def again(checkpoint: Any) -> Callable[..., Tuned]:
    return lambda out, **changes: tune([checkpoint.path], search(**changes), out)


def test_a_search_leaves_front_drawing_bundle_and_result(first: tuple[Path, Tuned]) -> None:
    out, found = first
    assert {c.row.model for c in found.candidates} == {
        "digits-float32.tflite",
        "digits-int8.tflite",
    }
    assert found.choice.winner is not None
    assert found.bundle == out / "bundle"
    packed = json.loads((out / "bundle" / "model.json").read_text())
    assert packed["sha256"] == found.choice.winner.row.sha256
    assert (out / "bundle.tar.gz").is_file()
    assert (out / "front.svg").read_text().startswith("<svg")
    told = json.loads((out / "tune.json").read_text())
    assert told["schema"] == "edgecnn/tuning/1"
    assert told["winner"]["file"] == found.choice.winner.row.model
    assert {row["file"] for row in told["rows"] if row["on_front"]} == {
        row["file"] for row in told["front"]
    }


def test_each_row_has_the_accuracy_of_its_very_file_on_validation_photos(
    first: tuple[Path, Tuned], checkpoint: Any
) -> None:
    out, found = first
    parity = json.loads((out / "verify" / "digits" / "parity.json").read_text())
    judged = {row["sha256"]: row["top1"] for row in parity["rows"]}
    for one in found.candidates:
        assert one.accuracy.top1 == judged[one.row.sha256]
        assert one.accuracy.n == checkpoint.card.data.n_val
        assert one.row.accuracy == one.accuracy


def test_a_second_run_makes_and_judges_nothing_again(
    first: tuple[Path, Tuned], again: Callable[..., Tuned]
) -> None:
    out, found = first
    made = [*(out / "files").rglob("*.tflite"), out / "verify" / "digits" / "parity.json"]
    before = {path: path.stat().st_mtime_ns for path in made}
    for row in (out / "results").glob("*.json"):
        _change(row, valid=True, invalid_reasons=())
    second = again(out)
    assert {path: path.stat().st_mtime_ns for path in made} == before
    assert second.kept == len(second.candidates) == len(found.candidates)


@pytest.mark.parametrize(
    "changes",
    [
        {"sha256": "0" * 64},
        {"protocol": {"seconds": 1.0}},
        {"machine": {"cpu": "another", "arch": "another", "cores": 1000}},
        {"valid": False, "invalid_reasons": ("busy machine",)},
    ],
    ids=["another file", "another protocol", "another machine", "not valid"],
)
def test_a_row_of_something_else_is_measured_again(
    first: tuple[Path, Tuned], checkpoint: Any, changes: dict[str, Any]
) -> None:
    out, found = first
    rows = sorted((out / "results").glob("*.json"))
    for row in rows:
        _change(row, valid=True, invalid_reasons=())
    _change(rows[0], **changes)
    files = [
        Judged(
            path=path,
            sha256=sha256(path),
            checkpoint=checkpoint,
            scheme="int8",
            accuracy=found.candidates[0].accuracy,
            failed=(),
        )
        for path in sorted((out / "files").rglob("*.tflite"))
    ]
    kept = measured(files, search().settings, out / "results", force=False).kept
    assert kept == len(rows) - 1


def test_a_damaged_file_is_made_again_and_a_damaged_row_measured_again(
    first: tuple[Path, Tuned], again: Callable[..., Tuned]
) -> None:
    out, found = first
    path = out / "files" / "digits" / "digits-int8.tflite"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    next((out / "results").glob("*.json")).write_text("{")
    second = again(out)
    assert path.stat().st_size > len(whole) // 2
    assert {c.row.model for c in second.candidates} == {c.row.model for c in found.candidates}
    assert sha256(path) in {c.row.sha256 for c in second.candidates}


def test_nothing_fits_and_it_says_so(
    first: tuple[Path, Tuned], again: Callable[..., Tuned]
) -> None:
    out, _ = first
    found = again(out, budget=Budget(latency_ms=1e-6))
    assert found.choice.winner is None
    assert found.bundle is None
    assert not (out / "bundle").exists()
    told = json.loads((out / "tune.json").read_text())
    assert told["fits"] is False
    assert told["misses"]["latency"] > 1


def test_a_prediction_is_packed_for_its_board(
    first: tuple[Path, Tuned], again: Callable[..., Tuned]
) -> None:
    out, _ = first
    target = targets.parse("predicted:pi4")
    found = again(out, settings=Settings(target=target, protocol=QUICK))
    assert {c.row.threads for c in found.candidates} == {1, 2, 4}
    assert all(c.row.latency_ms is None for c in found.candidates)
    assert json.loads((out / "bundle" / "model.json").read_text())["device"] == "raspberry-pi-4"


@pytest.mark.parametrize(
    ("target", "budget"),
    [
        ("emulated:pi4", Budget(latency_ms=20)),
        ("cpu", Budget(instructions=10**6)),
        ("predicted:pi4", Budget(memory_mb=50)),
    ],
)
def test_a_limit_on_what_a_target_cannot_tell_is_refused(target: str, budget: Budget) -> None:
    with pytest.raises(InputError, match="--max-"):
        refuse_unknown_limits(budget, target)


def test_two_checkpoints_of_one_name_are_refused(checkpoint: Any, tmp_path: Path) -> None:
    other = tmp_path / "digits"
    other.mkdir()
    for file in checkpoint.path.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    with pytest.raises(InputError, match="the same name"):
        read_checkpoints([checkpoint.path, other])


def test_an_unknown_runtime_is_refused_before_anything_is_made() -> None:
    with pytest.raises(InputError, match="try litert"):
        Settings(target=targets.parse("cpu"), runtimes=("litret",))


def test_an_unknown_scheme_offers_the_nearest() -> None:
    with pytest.raises(InputError, match="try int8"):
        check_schemes(["int9"])


@pytest.mark.parametrize(
    ("target", "runtimes", "formats"),
    [
        ("cpu", None, ("tflite", "onnx")),
        ("cpu", ("litert",), ("tflite",)),
        ("cpu", ("onnxruntime",), ("onnx",)),
        ("predicted:pi4", None, ("tflite",)),
    ],
)
def test_no_format_is_made_that_nothing_reads(
    target: str, runtimes: tuple[str, ...] | None, formats: tuple[str, ...]
) -> None:
    assert usual_formats(targets.parse(target), runtimes) == formats


def test_threads_are_tried_up_to_the_cores() -> None:
    assert usual_threads(targets.parse("predicted:pi4")) == (1, 2, 4)
    assert usual_threads(targets.parse("cpu"))[0] == 1


def _change(path: Path, **changes: Any) -> None:
    row = schema.read(Measurement, path)
    path.write_text(schema.dumps(dataclasses.replace(row, **changes)))
