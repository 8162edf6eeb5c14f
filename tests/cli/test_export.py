"""What `export` reads from its command line, and what it leaves and shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgecnn import cli
from edgecnn.core.errors import InputError


def parsed(*words: str) -> Any:
    return cli.build_parser("export").parse_all(["run", "--out", "out", *words])


@pytest.mark.parametrize(("word", "count"), [("1", 1), ("500", 500), ("auto", "auto")])
def test_a_count_of_photos_is_a_number_or_auto(word: str, count: int | str) -> None:
    assert parsed("--calibration-count", word).calibration_count == count


@pytest.mark.parametrize("word", ["0", "-3", "all", "1.5"])
def test_another_count_is_refused(word: str) -> None:
    with pytest.raises(InputError, match=r"--calibration-count"):
        parsed("--calibration-count", word)


def test_ranges_offered_are_those_that_there_are() -> None:
    from edgecnn.quantize.ranges import METHODS

    assert [parsed("--ranges", name).ranges for name in METHODS] == list(METHODS)
    with pytest.raises(InputError, match=r"no way to choose ranges 'min-max'.*: try minmax"):
        parsed("--ranges", "min-max")


@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_curve_of_counts_is_shown_told_to_machines_and_drawn(
    checkpoint: Any, tmp_path: Path
) -> None:
    words = f"{checkpoint.path} --out {tmp_path} --int8 --rounding nearest --calibration-count 32"
    args = cli.build_parser("export").parse_all([*words.split(), "--calibration-curve"])
    outcome = cli.COMMANDS["export"].run(args)
    (row,) = outcome.data["artifacts"]
    assert [point["n"] for point in row["calibration"]["curve"]] == [2, 4, 8, 16, 32]
    drawing = tmp_path / f"{checkpoint.card.name}-calibration.svg"
    assert drawing.read_text().startswith("<svg")
    assert f"drawing: {drawing}" in outcome.view()


@pytest.mark.parametrize(
    ("words", "per_tensor", "equalizes"),
    [
        ("", False, False),
        ("--per-tensor", True, True),
        ("--per-tensor --no-equalize", True, False),
        ("--equalize", False, True),
    ],
)
def test_channels_are_equalized_for_one_scale_a_layer_or_as_asked(
    words: str, per_tensor: bool, equalizes: bool
) -> None:
    pytest.importorskip("tensorflow")
    from edgecnn.export import Options

    args = parsed("--int8", *words.split())
    options = Options(schemes=("int8",), per_tensor=args.per_tensor, equalize=args.equalize)
    assert (options.per_tensor, options.equalizes) == (per_tensor, equalizes)


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("option", ["--per-tensor", "--equalize"])
@pytest.mark.parametrize("schemes", ["", "--float16 --weights8"])
def test_one_scale_a_layer_without_integers_is_refused_in_one_line(
    checkpoint: Any, tmp_path: Path, capfd: Any, option: str, schemes: str
) -> None:
    words = f"export {checkpoint.path} --out {tmp_path / 'out'} {schemes} {option}"
    assert cli.main(words.split()) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("error: no integer weights in float")
    assert option in line
    assert line.endswith("add --int8 or --int16x8")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_foreign_model_can_t_be_equalized_and_that_is_said_before_it_is_read(
    tmp_path: Path, capfd: Any
) -> None:
    model = tmp_path / "model.keras"
    model.write_bytes(b"PK\x03\x04 not read at all")
    words = f"export {model} --out {tmp_path / 'out'} --int8 --equalize --normalize none"
    assert cli.main(words.split()) == 2
    assert "channels of a foreign model can't be rescaled" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.tensorflow
def test_per_tensor_files_are_written_checked_and_measured(checkpoint: Any, tmp_path: Path) -> None:
    words = f"{checkpoint.path} --out {tmp_path} --int8 --per-tensor --format tflite,onnx"
    args = cli.build_parser("export").parse_all([*words.split(), "--calibration-count", "40"])
    outcome = cli.COMMANDS["export"].run(args)
    assert [row["agreement_pct"] > 90 for row in outcome.data["artifacts"]] == [True, True]
    plan = json.loads((tmp_path / f"{checkpoint.card.name}-int8.plan.json").read_text())
    assert plan["per_tensor_weights"] is plan["equalized"] is True
    counts = [layer.get("weight_scales", {}).get("count") for layer in plan["layers"].values()]
    assert set(counts) == {None, 1}
