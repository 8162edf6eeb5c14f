from __future__ import annotations

import dataclasses
import math

from hypothesis import given
from hypothesis import strategies as st

from edgecnn.report.collect import Collected
from edgecnn.report.rows import Changes, Top1, build, files
from tests.report.samples import artifact, measurement, parity


def test_a_row_joins_what_is_known_of_the_same_file(collected: Collected) -> None:
    row = next(r for r in build(collected) if r.file == "flowers-int8.tflite")
    assert row.measurement is not None
    assert row.top1 == Top1(value=0.8208, n=759, data="flowers/")
    assert row.agreement is not None
    assert (row.agreement.pct, row.bytes) == (98.55, 3_951_000)
    assert row.setting == "cpu, litert, 1 thread"


def test_every_measurement_and_every_file_has_a_row(collected: Collected) -> None:
    more = artifact("flowers-int16x8.tflite", 4_000_000, 0.8, 99.0)
    rows = build(dataclasses.replace(collected, artifacts=(*collected.artifacts, more)))
    assert len(rows) == len(collected.measurements) + 1
    assert [row.setting for row in rows].count("not measured") == 1


def test_verified_accuracy_goes_before_measured_before_exported() -> None:
    name = "flowers-int8.tflite"
    exported = artifact(name, 9, 0.1, 50.0)
    measured = measurement(name, top1=0.2)

    def top1(**parts: object) -> float | None:
        (row, *_) = (r for r in build(Collected(**parts)) if r.file == name)  # type: ignore[arg-type]
        return row.top1.value if row.top1 else None

    assert top1(artifacts=(exported,)) == 0.1
    assert top1(artifacts=(exported,), measurements=(measured,)) == 0.2
    assert top1(artifacts=(exported,), measurements=(measured,), parities=(parity(),)) == 0.8208


def test_an_unmeasurable_file_keeps_its_scheme() -> None:
    broken = dataclasses.replace(
        measurement(), scheme="unknown", latency_ms=None, valid=False, invalid_reasons=("crashed",)
    )
    (row,) = build(
        Collected(artifacts=(artifact(broken.model, 9, 0.1, 50.0),), measurements=(broken,))
    )
    assert (row.scheme, row.median_ms, row.valid) == ("int8", None, False)


def test_few_runs_give_no_90th_percentile() -> None:
    few, enough = measurement(runs=63), measurement(runs=64)
    assert [row.p90_ms is None for row in build(Collected(measurements=(few, enough)))] == [
        True,
        False,
    ]


def test_one_row_a_file_is_its_fastest_trustworthy_one() -> None:
    rows = build(
        Collected(
            measurements=(
                measurement(median=3.0, threads=1),
                measurement(median=2.0, threads=2),
                measurement(median=1.0, threads=4, reasons=("busy",)),
            )
        )
    )
    (row,) = files(rows)
    assert row.measurement is not None
    assert row.measurement.threads == 2


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_the_interval_holds_the_value_and_stays_within_bounds(n: int, share: float) -> None:
    value = round(share * n) / n
    low, high = Top1(value=value, n=n, data="").interval
    assert 0 <= low <= value + 1e-12
    assert value - 1e-12 <= high <= 1


def test_the_interval_is_wilsons() -> None:
    low, high = Top1(value=0.98, n=600, data="").interval
    assert math.isclose(low, 0.9653, abs_tol=1e-4)
    assert math.isclose(high, 0.9886, abs_tol=1e-4)


def test_luck_is_told_from_damage() -> None:
    assert Changes(lost=4, gained=4).chance == 1.0
    assert Changes(lost=0, gained=0).chance == 1.0
    assert math.isclose(Changes(lost=9, gained=1).chance, 22 / 1024)
    assert Changes(lost=3000, gained=2000).chance < 1e-9
