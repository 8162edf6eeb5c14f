"""What `export` reads from its command line, and what it leaves and shows."""

from __future__ import annotations

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
