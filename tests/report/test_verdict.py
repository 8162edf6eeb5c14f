from __future__ import annotations

import dataclasses

from edgecnn.core.parity import Check, Parity
from edgecnn.report.collect import Collected
from edgecnn.report.rows import build
from edgecnn.report.verdict import Verdict, judge
from tests.report.samples import artifact, card, measurement, parity


def verdict(collected: Collected) -> Verdict:
    return judge(build(collected), collected)


def failing(*names: str) -> Parity:
    check = Check(name="no NaN", passed=False, detail="759 photos")
    rows = tuple(
        dataclasses.replace(row, checks=(check,)) if row.path.rpartition("/")[2] in names else row
        for row in parity().rows
    )
    return dataclasses.replace(parity(), rows=rows, passed=False)


def test_the_fastest_of_the_accurate_files_is_named_with_its_numbers(collected: Collected) -> None:
    found = verdict(collected)
    assert found.headline.startswith("flowers-int8.tflite gets 82.1 % of photos right and answers")
    assert "fastest of 5 measured files within 1 point" in found.because
    assert "smaller" in found.because
    assert "may be chance" in found.because
    assert found.tone == "good"


def test_a_fast_file_that_lost_accuracy_is_not_chosen() -> None:
    fast, right = "flowers-int8.tflite", "flowers-float32.tflite"
    found = verdict(
        Collected(
            measurements=(
                measurement(fast, median=1.0, top1=0.70),
                measurement(right, median=4.0, top1=0.82),
            )
        )
    )
    assert found.headline.startswith(right)


def test_a_file_that_failed_a_check_is_not_chosen(collected: Collected) -> None:
    found = verdict(dataclasses.replace(collected, parities=(failing("flowers-int8.tflite"),)))
    assert not found.headline.startswith("flowers-int8.tflite")
    assert "flowers-int8.tflite failed: no NaN." in found.remarks
    assert found.tone == "doubt"


def test_when_all_failed_none_is_recommended(collected: Collected) -> None:
    names = [row.path.rpartition("/")[2] for row in parity().rows]
    found = verdict(dataclasses.replace(collected, parities=(failing(*names),)))
    assert (found.tone, found.best) == ("bad", None)
    assert "failed a check" in found.headline


def test_an_untrustworthy_latency_is_chosen_only_without_a_better_one() -> None:
    noisy = measurement(median=1.0, reasons=("busy machine",))
    quiet = measurement(median=2.0, threads=2)
    assert verdict(Collected(measurements=(noisy, quiet))).best is not None
    best = verdict(Collected(measurements=(noisy, quiet))).best
    assert best is not None
    assert best.measurement is quiet
    alone = verdict(Collected(measurements=(noisy,)))
    assert alone.tone == "doubt"
    assert "seems to answer" in alone.headline
    assert "measure again" in alone.because
    assert alone.remarks == ("1 latency of 1 is not to be trusted; the table says why.",)


def test_what_is_missing_is_said() -> None:
    fast = verdict(Collected(measurements=(measurement(),)))
    assert "accuracy is unknown" in fast.because
    written = verdict(Collected(artifacts=(artifact("flowers-int8.tflite", 9, 0.8, 99.0),)))
    assert "speed is unknown" in written.because
    trained = verdict(Collected(cards=(card(),)))
    assert trained.headline.startswith("flowers gets")
    assert "No file was exported" in trained.because


def test_low_agreement_and_warnings_are_remarked() -> None:
    row = dataclasses.replace(
        artifact("flowers-int8.onnx", 9, 0.8, 85.0), warnings=("kernels may saturate",)
    )
    remarks = verdict(Collected(artifacts=(row,))).remarks
    assert remarks == (
        "flowers-int8.onnx gives only 85.0 % of its checkpoint's answers.",
        "flowers-int8.onnx: kernels may saturate.",
    )


def test_slower_is_called_slower() -> None:
    found = verdict(
        Collected(
            measurements=(
                measurement("flowers-int8.tflite", median=8.0, top1=0.9),
                measurement("flowers-float32.tflite", median=4.0, top1=0.5, bytes_=13_000_000),
            )
        )
    )
    assert "2.0× slower" in found.because
    assert "40.0 points more accurate" in found.because


def test_it_is_not_called_the_fastest_of_files_whose_latency_is_in_doubt() -> None:
    doubted = measurement("flowers-int8.tflite", median=1.0, reasons=("busy machine",))
    sure = measurement("flowers-float32.tflite", median=2.0)
    other = measurement("flowers-float32.onnx", median=3.0)
    assert (
        "only file here with a latency to be trusted"
        in verdict(Collected(measurements=(doubted, sure))).because
    )
    among = verdict(Collected(measurements=(doubted, sure, other))).because
    assert "fastest of 2 measured files whose latency can be trusted" in among
