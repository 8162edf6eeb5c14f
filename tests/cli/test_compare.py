"""`edgecnn compare`, as CI calls it."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from edgecnn import cli
from edgecnn.core import schema
from edgecnn.core.measurement import Measurement
from tests.report.samples import measurement


def folder(path: Path, *rows: Measurement) -> str:
    path.mkdir(parents=True)
    for index, row in enumerate(rows):
        (path / f"row{index}.json").write_text(schema.dumps(row))
    return str(path)


@pytest.fixture
def sets(tmp_path: Path) -> list[str]:
    """A baseline, and results that are slower and larger."""
    before = folder(tmp_path / "before", measurement())
    return [before, folder(tmp_path / "after", measurement(median=4.0, bytes_=9_000_000))]


def run(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = cli.main(["compare", *words])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_a_comparison_without_gates_is_no_judgement(
    sets: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(sets, capsys)
    assert (code, err) == (0, "")
    assert "+128 % worse" not in out
    assert "worse" in out


def test_a_broken_gate_exits_1_and_says_which(
    sets: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run([*sets, "--gate", "p90:5%", "--gate", "memory:2MB"], capsys)
    assert code == 1
    assert err.startswith("check failed: p90:5% on flowers-int8.tflite (cpu, litert, 1 thread): +")
    assert "memory" not in err
    assert err.count("\n") == 1


def test_gates_hold_where_things_became_better(
    sets: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*reversed(sets), "--gate", "p90:0%", "--gate", "size:0%"], capsys)[0] == 0


def test_json_is_one_object_even_when_a_gate_breaks(
    sets: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run([*sets, "--gate", "size:1%", "--json"], capsys)
    data = json.loads(out)
    assert (code, data["passed"], data["gates"][0]["status"]) == (1, False, "broken")
    assert {"metric", "before", "after", "change", "change_pct", "interval"} <= set(
        data["rows"][0]["changes"][0]
    )


def test_files_for_ci_are_written_when_a_gate_breaks_and_not_replaced_unasked(
    sets: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = ["--markdown", str(tmp_path / "pr.md"), "--junit", str(tmp_path / "gates.xml")]
    words = [*sets, "--gate", "size:1%", *pages]
    assert run(words, capsys)[0] == 1
    assert ET.fromstring((tmp_path / "gates.xml").read_text()).get("failures") == "1"
    assert "**1 gate broken**" in (tmp_path / "pr.md").read_text()
    assert run(words, capsys)[0] == 2
    assert run([*words, "--force"], capsys)[0] == 1


def test_an_invalid_row_never_passes_silently(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two = measurement("flowers-float32.tflite")
    before = folder(tmp_path / "before", measurement(), two)
    after = folder(tmp_path / "after", measurement(reasons=("busy machine",)), two)
    code, _, err = run([before, after, "--gate", "p90:5%"], capsys)
    assert code == 0
    assert err.startswith("note: not judged: p90:5% on flowers-int8.tflite")
    assert run([before, after, "--gate", "p90:5%", "--strict"], capsys)[0] == 1


def test_a_gate_that_can_judge_nothing_exits_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = folder(tmp_path / "before", measurement())
    after = folder(tmp_path / "after", measurement(reasons=("busy machine",)))
    code, _, err = run([before, after, "--gate", "p90:5%"], capsys)
    assert code == 2
    assert "busy machine" in err
    assert err.count("\n") == 1


def test_what_evaluate_printed_can_be_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, top1 in (("a", 0.95), ("b", 0.60)):
        scores = {
            "schema": "edgecnn/evaluation/1",
            "model": "out/x-int8.tflite",
            "sha256": name,
            "split": "test",
            "n": 400,
            "top1": top1,
            "confusion": [[1]],
        }
        (tmp_path / f"{name}.json").write_text(json.dumps(scores))
    words = [str(tmp_path / "a.json"), str(tmp_path / "b.json"), "--gate", "top1:1"]
    code, _, err = run(words, capsys)
    assert code == 1
    assert "-35.00 points" in err


def test_single_files_are_sets_too(sets: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([str(Path(path) / "row0.json") for path in sets], capsys)[0] == 0


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("package.json", '{"a": 1}', "no results"),
        ("later.json", '{"schema": "edgecnn/measurement/99"}', "measurement/99"),
        ("cut.json", '{"schema": "edgecnn/measurement/1", "model"', "not JSON"),
        ("parity.json", "[]", "damaged"),
        ("nan.json", '{"schema": "edgecnn/evaluation/1", "top1": NaN}', "NaN"),
        (
            "wild.json",
            '{"schema": "edgecnn/evaluation/1", "model": "x", "sha256": "a", "split": "all",'
            ' "n": 0, "top1": 7}',
            "top-1 7",
        ),
        ("plan.json", '{"schema": "edgecnn/quantization-plan/1"}', "no results"),
        ("none.txt", "", "no results"),
    ],
)
def test_what_is_no_result_is_one_line(
    name: str, content: str, message: str, sets: list[str], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / name).write_text(content)
    for words in ([sets[0], str(tmp_path / "bad")], [str(tmp_path / "bad"), sets[0]]):
        code, out, err = run(words, capsys)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert message in err


def test_nothing_in_common_and_nothing_there_are_one_line(
    sets: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = folder(tmp_path / "other", dataclasses.replace(measurement("x-int8.tflite")))
    for words in ([sets[0], other], [sets[0], str(tmp_path / "absent")], [*sets, "--gate", "x:1"]):
        code, out, err = run(words, capsys)
        assert (code, out, err.count("\n")) == (2, "", 1)
