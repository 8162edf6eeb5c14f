"""How many calibration photos are enough."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.core.artifact import CalibrationPoint

pytestmark = pytest.mark.tensorflow

decibels = st.lists(st.floats(-20, 60), min_size=1, max_size=8)


def point(n: int, sqnr_db: float) -> CalibrationPoint:
    return CalibrationPoint(n=n, agreement_pct=90.0, sqnr_db=sqnr_db, seconds=0.1)


def growing(*values: float) -> list[CalibrationPoint]:
    """Doublings from 32, each as good as told."""
    from edgecnn.export.photo_count import grow

    told = {32 << place: value for place, value in enumerate(values)}
    return grow(told, lambda n: point(n, told[n]))


@pytest.mark.parametrize(
    ("most", "counts"),
    [(20, [20]), (32, [32]), (33, [32, 33]), (500, [32, 64, 128, 256, 500])],
)
def test_counts_double_up_to_all_photos(most, counts):
    from edgecnn.export.photo_count import FEWEST, doublings

    assert doublings(FEWEST, most) == counts


@given(st.integers(1, 5000))
def test_a_curve_ends_at_the_count_asked_for(most):
    from edgecnn.export.photo_count import halvings

    counts = halvings(most)
    assert counts[-1] == most
    assert 1 <= len(counts) <= 5
    assert all(1 <= a < b for a, b in itertools.pairwise(counts))


def test_trying_stops_after_two_counts_that_gain_nothing():
    assert [p.n for p in growing(10, 15, 15.1, 14.9, 30)] == [32, 64, 128, 256]


def test_one_bad_draw_does_not_stop_it():
    assert [p.n for p in growing(10, 9, 15, 15.5)] == [32, 64, 128, 256]


def test_the_smallest_count_as_good_as_the_best_is_enough():
    from edgecnn.export.photo_count import enough

    assert enough(growing(10, 15, 15.1, 14.9)) == 64


@given(decibels)
def test_what_is_enough_is_hardly_worse_than_anything_tried(values):
    from edgecnn.export.photo_count import enough

    points = growing(*values)
    chosen = enough(points)
    best = max(p.sqnr_db for p in points)
    assert next(p for p in points if p.n == chosen).sqnr_db > best - 0.2


@given(decibels)
def test_photos_that_ran_out_too_early_are_told_of(values):
    from edgecnn.export.photo_count import enough, still_gaining

    points = growing(*values)
    told = list(still_gaining(points))
    assert bool(told) == (len(points) > 1 and enough(points) == points[-1].n)


def test_nothing_tried_is_nothing_chosen():
    from edgecnn.export.photo_count import enough

    with pytest.raises(ValueError, match="no count"):
        enough([])


def test_decibels_are_of_power_and_finite():
    from edgecnn.export.photo_count import sqnr_db

    signal = np.array([[0.6, 0.4]], np.float32)
    assert sqnr_db(signal, signal + 0.1 * signal) == pytest.approx(20, abs=1e-3)
    assert sqnr_db(signal, signal) == 120
    assert sqnr_db(np.zeros_like(signal), signal) == -120


@pytest.mark.slow
@pytest.mark.parametrize(("count", "curve"), [("auto", False), (48, True)])
def test_a_file_says_which_counts_were_tried(checkpoint, tmp_path, count, curve):
    from edgecnn.export import Options, export
    from edgecnn.export.photo_count import enough

    options = Options(
        schemes=("int8",), rounding="nearest", calibration_count=count, calibration_curve=curve
    )
    (artifact,) = export(checkpoint, tmp_path, options)
    note = artifact.metadata.calibration
    counts = [p.n for p in note.curve]
    if count == 48:
        assert counts == [3, 6, 12, 24, 48]
        assert note.n == 48
    else:
        assert counts[:3] == [32, 64, 128]
        assert note.n == enough(note.curve)
    assert all(50 < p.agreement_pct <= 100 and p.sqnr_db > 5 for p in note.curve)
    assert artifact.to_row()["calibration"]["curve"][0]["n"] == counts[0]


@pytest.mark.slow
def test_compensated_rounding_runs_once_after_the_counts_were_tried(
    checkpoint, tmp_path, monkeypatch
):
    from edgecnn.export import Options, export, writers
    from edgecnn.export.photo_count import enough

    compensate, runs = writers.compensate, []

    def counted(float_file, plan, inputs):
        runs.append(len(list(inputs())))
        return compensate(float_file, plan, inputs)

    monkeypatch.setattr(writers, "compensate", counted)
    options = Options(schemes=("int8",), calibration_count="auto")
    (artifact,) = export(checkpoint, tmp_path, options)
    note = artifact.metadata.calibration
    assert len(note.curve) >= 3
    assert runs == [note.n]
    assert note.n == max(192, enough(note.curve))


@pytest.mark.slow
@pytest.mark.parametrize("ranges", ["average", "mse"])
def test_each_way_to_choose_ranges_makes_a_file_that_says_so(checkpoint, tmp_path, ranges):
    from edgecnn.export import Options, export

    options = Options(
        formats=("tflite", "onnx"), schemes=("int8",), rounding="nearest", ranges=ranges,
        calibration_count=64,
    )  # fmt: skip
    for artifact in export(checkpoint, tmp_path, options):
        assert artifact.metadata.calibration.ranges == ranges
        assert artifact.metadata.measured.agreement_pct >= 95


def test_an_unknown_way_to_choose_ranges_offers_the_nearest():
    from edgecnn.core.errors import InputError
    from edgecnn.export import Options

    with pytest.raises(InputError, match=r"no way to choose ranges 'mean'"):
        Options(ranges="mean")
