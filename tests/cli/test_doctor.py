from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgecnn import cli
from edgecnn.cli.doctor import _judge
from edgecnn.targets.findings import Diagnosis, Finding

HOT = Finding("heat", "warning", "81 °C", "cool it")
FULL = Finding("disk", "error", "0 MB free", "free some")
FINE = Finding("clock", "ok", "governor performance")


def test_all_findings_are_told_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--target", "pi4-32bit"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("pi4-32bit: usable\n")
    assert "  warn   architecture    armv7l, 4 cores" in told
    assert "\n                         -> a 64-bit system brings LiteRT 2 and ONNX" in told


def test_json_has_each_finding_of_each_target(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["doctor", "--json", "--target", "pi5", "--target", "pi-zero2w"]
    assert cli.main(words) == 0
    first, second = json.loads(capsys.readouterr().out)["targets"]
    assert (first["target"], second["target"]) == ("pi5", "pi-zero2w")
    assert first["usable"]
    assert set(first["findings"][0]) == {"check", "level", "what", "fix"}


def test_what_stands_in_the_way_exits_2_and_warnings_only_when_asked() -> None:
    hot, full = Diagnosis("ssh:a", (FINE, HOT)), Diagnosis("ssh:b", (HOT, FULL))
    assert _judge([Diagnosis("ssh:a", (FINE,))], strict=True) == (0, "")
    assert _judge([hot], strict=False) == (0, "")
    assert _judge([hot], strict=True) == (1, "warning: 81 °C in ssh:a: cool it")
    assert _judge([hot, full], strict=True) == (2, "error: 0 MB free in ssh:b: free some")


def test_an_unknown_target_or_file_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert cli.main(["doctor", "--target", "pi44"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert cli.main(["doctor", str(tmp_path / "absent.tflite")]) == 2
    assert "absent.tflite" in capsys.readouterr().err
