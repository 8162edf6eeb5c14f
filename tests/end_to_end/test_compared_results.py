"""Results of real commands, compared with themselves."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgecnn import cli

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]


def test_the_line_against_itself_changed_nothing(
    line: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = str(line.out.parent)
    gates = [word for gate in ("memory:0MB", "size:0%", "top1:0", "agreement:0", "median:0%")
             for word in ("--gate", gate)]  # fmt: skip
    code = cli.main(["compare", folder, folder, *gates[:-2], "--json"])
    data = json.loads(capfd.readouterr().out)
    assert code == 0
    assert data["passed"] is True
    assert data["only_before"] == data["only_after"] == []
    changes = [change for row in data["rows"] for change in row["changes"]]
    assert {change["verdict"] for change in changes} == {"same"}
    paired = {change["basis"] for change in changes if change["metric"] == "agreement"}
    assert paired == {f"the same {line.printed['train']['n_test']} photos"}
    assert cli.main(["compare", folder, folder, *gates]) in {0, 2}  # 2: no latency is valid here


def test_what_evaluate_prints_is_a_result(
    line: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["evaluate", str(line.int8), "--data", str(line.photos), "--json"]) == 0
    scores = tmp_path / "scores.json"
    scores.write_text(capfd.readouterr().out)
    assert cli.main(["compare", str(scores), str(line.out.parent), "--json"]) == 0
    data = json.loads(capfd.readouterr().out)
    (row,) = data["rows"]
    assert row["subject"]["file"] == line.int8.name
    assert [change["metric"] for change in row["changes"]] == ["top1"]


def test_a_report_takes_a_folder_with_scores_in_it(
    line: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["evaluate", str(line.int8), "--data", str(line.photos), "--json"]) == 0
    (tmp_path / "scores.json").write_text(capfd.readouterr().out)
    page = str(tmp_path / "report.html")
    assert cli.main(["report", str(tmp_path), "--out", page]) == 2  # scores alone are no report
    assert cli.main(["report", str(tmp_path), str(line.results), "--out", page]) == 0
