"""int8 is not worth it where the measurement says so, and only there."""

from __future__ import annotations

import dataclasses

from edgecnn.report.collect import Collected
from edgecnn.report.rows import build
from edgecnn.report.verdict import judge
from edgecnn.report.worth import not_worth
from tests.report.samples import measurement


def said(*measurements: object) -> list[str]:
    return not_worth(build(Collected(measurements=measurements)))  # type: ignore[arg-type]


FLOAT = measurement("mobile-float32.tflite", median=0.88, top1=0.70, bytes_=10_000_000)


def test_a_slower_int8_file_is_not_worth_it() -> None:
    slow = measurement("mobile-int8.tflite", median=2.9, top1=0.70, bytes_=2_900_000)
    (line,) = said(FLOAT, slow)
    assert line.startswith("int8 isn't worth it here: mobile-int8.tflite takes 2.9")
    assert "where float32 takes 0.9" in line
    assert "though it is 3.4× smaller" in line


def test_a_file_that_loses_points_is_not_worth_it_however_fast() -> None:
    lossy = measurement("mobile-int8.tflite", median=0.3, top1=0.65, bytes_=2_900_000)
    (line,) = said(FLOAT, lossy)
    assert "loses 5.0 points" in line
    assert "faster and 3.4× smaller" in line


def test_both_reasons_are_one_sentence_a_file() -> None:
    bad = [
        measurement("mobile-int8.tflite", median=2.0, top1=0.6, threads=threads)
        for threads in (1, 2)
    ]
    plain = [dataclasses.replace(FLOAT, threads=threads) for threads in (1, 2)]
    (line,) = said(*plain, *bad)
    assert "takes" in line
    assert " and loses 10.0 points" in line


def test_a_file_that_is_faster_in_another_setting_is_not_called_slow() -> None:
    one, two = (
        measurement("mobile-int8.tflite", median=m, threads=t) for m, t in ((1.2, 1), (0.5, 2))
    )
    assert not said(FLOAT, dataclasses.replace(FLOAT, threads=2), one, two)


def test_nothing_is_said_of_a_faster_file_that_keeps_its_answers() -> None:
    assert not said(FLOAT, measurement("mobile-int8.tflite", median=0.5, top1=0.695))


def test_a_latency_that_cannot_be_trusted_is_no_reason() -> None:
    noisy = measurement("mobile-int8.tflite", median=2.9, top1=0.7, reasons=("busy machine",))
    assert not said(FLOAT, noisy)


def test_another_model_another_format_or_another_setting_is_no_comparison() -> None:
    slow = measurement("mobile-int8.tflite", median=2.9)
    assert not said(measurement("other-float32.tflite", median=0.8), slow)
    assert not said(measurement("mobile-float32.onnx", median=0.8), slow)
    assert not said(measurement("mobile-float32.tflite", median=0.8, threads=2), slow)


def test_the_page_says_it_among_its_first_words() -> None:
    slow = measurement("mobile-int8.tflite", median=2.9, top1=0.70)
    collected = Collected(measurements=(FLOAT, slow))
    remarks = judge(build(collected), collected).remarks
    assert any(remark.startswith("int8 isn't worth it here") for remark in remarks)
