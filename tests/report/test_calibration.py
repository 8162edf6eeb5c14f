"""What more calibration photos gain, shown."""

from __future__ import annotations

import io
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from edgecnn.core.artifact import Calibration, CalibrationPoint
from edgecnn.report.calibration import calibration_svg
from edgecnn.report.text import calibration_table


def calibration(*points: tuple[int, float, float], taken: int = 64) -> Calibration:
    curve = tuple(
        CalibrationPoint(n=n, agreement_pct=pct, sqnr_db=db, seconds=1.5) for n, pct, db in points
    )
    return Calibration(n=taken, seed=0, hash="ab", curve=curve)


def shown(note: Calibration) -> list[list[str]]:
    out = io.StringIO()
    Console(file=out, width=120).print(calibration_table(note))
    return [line.replace("│", " ").split() for line in out.getvalue().splitlines()]


def test_the_table_says_what_each_count_gives_and_which_was_taken() -> None:
    lines = shown(calibration((32, 97.5, 21.04), (64, 98.9, 24.96), (128, 98.9, 25.0)))
    assert ["32", "97.5", "%", "21.0", "dB", "1.5", "s"] in lines
    assert ["64", "98.9", "%", "25.0", "dB", "1.5", "s", "taken"] in lines


def test_the_drawing_has_a_dot_a_count_in_both_panels_and_marks_the_one_taken() -> None:
    note = calibration((32, 97.5, 21.0), (64, 98.9, 25.0), (128, 98.9, 25.0))
    drawing = ElementTree.fromstring(calibration_svg(note, name="<flowers>"))
    circles = list(drawing.iter("{http://www.w3.org/2000/svg}circle"))
    assert [c.get("class") for c in circles] == ["dot", "taken", "dot"] * 2
    titles = [t.text or "" for t in drawing.iter("{http://www.w3.org/2000/svg}title")]
    assert titles[0].startswith("<flowers>: int8")
    assert "128 photos: 98.90" in titles


@pytest.mark.parametrize("points", [[(1, 100.0, 120.0)], [(3, 0.0, -120.0), (4000, 100.0, 120.0)]])
def test_extreme_curves_are_drawn_too(points: list[tuple[int, float, float]]) -> None:
    ElementTree.fromstring(calibration_svg(calibration(*points), name="x"))


@given(
    st.lists(st.tuples(st.integers(1, 4000), st.floats(0, 100), st.floats(-120, 120)), min_size=1)
)
def test_every_dot_lies_inside_the_drawing(points: list[tuple[int, float, float]]) -> None:
    drawing = ElementTree.fromstring(calibration_svg(calibration(*points), name="x"))
    for circle in drawing.iter("{http://www.w3.org/2000/svg}circle"):
        assert 0 <= float(circle.get("cx") or -1) <= 320
        assert 0 <= float(circle.get("cy") or -1) <= 220
