from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgecnn import cli
from edgecnn.cli import outcome
from edgecnn.cli.inspect import _view


def row(**given: Any) -> dict[str, Any]:
    usual = {
        "name": "stage5_block14_depthwise_conv",
        "op": "DepthwiseConv2D",
        "kernel": [3, 3],
        "stride": [2, 2],
        "output_shape": [147, 147, 128],
        "params": 102_764_544,
        "macs": 1_849_688_064,
        "bytes": 411_058_176,
        "activation_bytes": 11_063_808,
        "receptive_field": [1083, 1083],
    }
    return {**usual, **given}


def facts(*rows: dict[str, Any], **given: Any) -> dict[str, Any]:
    usual = {
        "format": "keras",
        "params": 1,
        "macs": 2,
        "bytes": 4,
        "activation_peak_bytes": 8,
        "receptive_field": [],
        "layers": list(rows),
    }
    return {**usual, **given}


def test_the_widest_layers_fit_a_terminal_of_100_columns() -> None:
    console = pytest.importorskip("rich.console")
    table, *_ = _view(facts(row(), row(op="LocalResponseNormalization", kernel=None)))
    assert outcome._needs(table, console.Console(width=100)) <= 100


def test_a_layer_is_told_with_its_window() -> None:
    pytest.importorskip("rich")
    table, *_ = _view(facts(row(dilation=[2, 1], receptive_field=[9, 5], op="Conv2D")))
    cells = [next(iter(column.cells)) for column in table.columns]
    assert cells[1] == "Conv2D 3×3 /2 d2×1"
    assert (cells[2], cells[-1]) == ("147×147×128", "9×5")


def test_the_batch_of_a_file_is_left_out_of_its_shapes() -> None:
    pytest.importorskip("rich")
    table, *_ = _view(facts(row(output_shape=[1, 8, 8, 4]), format="tflite"))
    assert next(iter(table.columns[2].cells)) == "8×8×4"


def test_totals_speak_of_memory_for_both_uses() -> None:
    pytest.importorskip("rich")
    told = facts(row(), training={"batch": 32, "bytes": 2_614_168_448}, receptive_field=[483, 483])
    text = _view(told)[1]
    assert "an output sees 483×483 pixels" in text
    assert "training: 2.6 GB for a batch of 32" in text
    assert "an arena of 192 kB" in _view(facts(row(), arena_bytes=192_000))[1]


def test_a_file_is_drawn_once_and_again_only_by_force(
    tiny_files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture, model = tmp_path / "network.svg", str(tiny_files / "tiny-int8.tflite")
    command = ["inspect", model, "--json", "--out", str(picture)]
    assert cli.main(command) == 0
    assert json.loads(capsys.readouterr().out)["arena_bytes"] > 0
    assert picture.read_text().startswith("<svg ")
    assert cli.main(command) == 2
    assert str(picture) in capsys.readouterr().err
    assert cli.main([*command, "--force"]) == 0


@pytest.mark.parametrize("shape", ["image", "image=", "image=1,two", "image=1,0", "=1,3"])
def test_a_shape_that_is_none_is_refused(shape: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["inspect", "x.onnx", "--shape", shape]) == 2
    error = capsys.readouterr().err
    assert "--shape" in error
    assert len(error.splitlines()) == 1
