"""`edgecnn explain`, as it is typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgecnn.cli import main

pytestmark = pytest.mark.tensorflow


def explain(folder: Path, *words: str) -> int:
    quick = ("--rounding", "nearest", "--limit", "60", "--detailed", "4", "--calibration-count")
    return main(["explain", str(folder), "--kind", "layers", *quick, "32", *words])


@pytest.fixture(scope="module")
def folder(checkpoint: Any) -> Path:
    path: Path = checkpoint.path
    return path


def test_a_checkpoint_is_explained_layer_by_layer(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(folder, "--json", "--out", str(tmp_path / "x.layers.json")) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["summary"].endswith(".")
    assert found["n"] == 60
    assert found["n_alone"] == 4
    assert {"label", "sqnr_db", "sqnr_alone_db", "saturated", "macs", "weight_spread"} <= set(
        found["layers"][0]
    )
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "r.html"), "--quiet"]) == 0
    assert "What integers do to each layer" in (tmp_path / "r.html").read_text()


def test_people_read_a_sentence_and_a_table(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(folder) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "noise" in lines[0]
    assert any(line.split()[:2] == ["layer", "operation"] for line in lines)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--out", "drawing.bmp"), "unknown kind in drawing.bmp: end it in .json, .png, .svg"),
        (("--data", "nowhere"), "nowhere"),
        (("--limit", "0"), "not within"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    folder: Path, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(folder, *words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_an_earlier_drawing_is_not_replaced_unasked(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "layers.svg"
    old.write_text("mine")
    assert explain(folder, "--out", str(old)) == 2
    assert old.read_text() == "mine"
    assert "--force" in capsys.readouterr().err


def test_a_folder_that_is_no_checkpoint_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(tmp_path) == 2
    assert str(tmp_path) in capsys.readouterr().err


def test_an_unknown_kind_offers_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "run", "--kind", "layer"]) == 2
    assert "try layers" in capsys.readouterr().err


def test_the_layers_have_their_share_of_the_time(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(folder, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert "litert" in found["timed"]
    assert sum(layer["ms"] or 0 for layer in found["layers"]) <= found["operations_ms"]
    times = tmp_path / "trace.json"
    times.write_text('{"traceEvents": []}')
    assert explain(folder, "--per-op", str(times)) == 2
    assert "a bad Measurement" in capsys.readouterr().err


def test_an_existing_file_is_compared_with_its_checkpoint(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = ("--int8", "--rounding", "nearest", "--calibration-count", "32", "--quiet")
    assert main(["export", str(folder), "--out", str(tmp_path), *quick]) == 0
    capsys.readouterr()
    (file,) = tmp_path.glob("*-int8.tflite")
    out = tmp_path / "against.json"
    assert explain(folder, "--against", str(file), "--json", "--out", str(out)) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["layers"]
    assert (found["n"], found["n_detailed"]) == (60, 4)
    assert json.loads(out.read_text())["schema"] == "edgecnn/layers-against/1"
    assert explain(folder, "--against", str(file)) == 0
    assert "found in the file" in " ".join(capsys.readouterr().out.split())


def test_what_is_no_model_is_no_file_to_compare_with(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "a.tflite"
    text.write_text("no model")
    for words in (("--against", str(text)), ("--against", str(text), "--out", "x.png")):
        assert explain(folder, *words) == 2
        assert capsys.readouterr().err.count("\n") == 1
