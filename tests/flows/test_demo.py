"""The demo, with a network so small that it takes seconds."""

import json
import shlex
from pathlib import Path

import pytest

from edgecnn import cli
from edgecnn.core.errors import InputError
from edgecnn.flows import demo

QUICK = {"arch": "ds_cnn", "weights": "none", "size": 32, "tune_epochs": 2, "augment": "none"}


@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_demo_goes_the_whole_way_and_replaces_itself(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    out.mkdir()
    (out / "demo.json").write_text("{}")
    (out / "leftover").touch()
    done = demo.run_demo(out, options=QUICK)
    assert not (out / "leftover").exists()
    assert {row.path.name for row in done.artifacts} == {
        f"digits-{scheme}.{suffix}"
        for scheme in ("float32", "int8")
        for suffix in ("tflite", "onnx")
    }
    assert len(done.found.measurements) == len(done.found.parities[0].rows) == 4
    assert all(row.accuracy for row in done.found.measurements)
    assert "digits-int8.tflite" in done.report.read_text()
    assert json.loads((out / "demo.json").read_text())["schema"] == "edgecnn/demo/1"


def test_a_folder_of_something_else_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="no earlier demo"):
        demo.run_demo(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_the_page_shows_commands_that_the_program_takes(tmp_path: Path) -> None:
    for line in demo._commands(tmp_path / "my demo", demo.OPTIONS):
        _, name, *words = shlex.split(line)
        assert cli.build_parser(name).parse_all(words)
