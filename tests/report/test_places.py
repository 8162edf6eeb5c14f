"""What the page says of each target: threads, memory, operations, predictions, the doctor."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from edgecnn.core.errors import InputError
from edgecnn.core.measurement import (
    Measurement,
    Memory,
    OpTime,
    PerOpAbout,
    PredictedMs,
    Prediction,
)
from edgecnn.report import Collected, collect, render
from edgecnn.report.collect import DoctorFinding, Examined
from edgecnn.report.rows import build
from edgecnn.report.scaling import memory_bars, memory_parts, thread_scaling
from edgecnn.report.text import summary_table
from tests.report.samples import measurement, network

DOCTOR = {
    "schema": "edgecnn/doctor/1",
    "targets": [
        {
            "target": "ssh:pi4",
            "usable": False,
            "findings": [
                {"check": "disk", "level": "error", "what": "9 MB free", "fix": "free some"},
                {"check": "Python", "level": "ok", "what": "3.11", "fix": ""},
            ],
        }
    ],
}


def predicted() -> Measurement:
    told = Prediction(measurements=40, median_factor=1.2, worst_factor=3.0, arena_mb=1.5)
    return dataclasses.replace(
        measurement(),
        target="predicted:raspberry-pi-4",
        latency_ms=None,
        memory_mb=None,
        machine={},
        predicted_ms=PredictedMs(low=10.0, mid=15.5, high=22.0),
        prediction=told,
        valid=False,
        invalid_reasons=(told.sentence,),
    )


def counted() -> Measurement:
    return dataclasses.replace(
        measurement(),
        target="emulated:pi4",
        latency_ms=None,
        instructions=375_988_913,
        valid=False,
        invalid_reasons=("emulated: no latency, instructions instead",),
    )


def page_of(*rows: Measurement, **more: object) -> str:
    return render(Collected(measurements=rows, **more))  # type: ignore[arg-type]


def heads(page: str) -> list[str]:
    table = page.partition('class="sortable')[2]
    return re.findall(r'<button type="button">([^<]+)', table)


def test_columns_for_predictions_and_instructions_are_there_when_needed() -> None:
    plain = heads(page_of(measurement()))
    assert not {"Predicted", "Instructions"} & set(plain)
    both = heads(page_of(measurement(), predicted(), counted()))
    assert [name for name in both if name not in plain] == ["Predicted", "Instructions"]


def test_a_prediction_is_no_doubtful_latency_and_stands_in_no_column_of_latencies() -> None:
    page = page_of(measurement(), predicted())
    assert "not to be trusted" not in page
    assert "Predicted rows are no measurements" in page
    row = page.partition('class="guess"')[2].partition("</tr>")[0]
    median = re.search(r'data-label="Median"[^>]*>([^<]*)', row)
    guess = re.search(r'data-label="Predicted"[^>]*>([^<]*)', row)
    assert median is not None
    assert guess is not None
    assert (median[1], guess[1]) == ("–", "15.5 ms")


def test_an_emulated_board_has_instructions_and_no_latency() -> None:
    page = page_of(counted(), dataclasses.replace(counted(), target="emulated:pi5"))
    assert "375,988,913" in page
    for board in ("pi4", "pi5"):
        assert f"emulated:{board} is emulated: its rows count instructions, not time." in page
    assert "The fastest" not in page
    assert "greyed" not in page.partition("<main>")[2]
    assert "be trusted" not in page.partition("How to read")[0]


def test_a_count_whose_answers_were_wrong_is_grey() -> None:
    row = dataclasses.replace(counted(), invalid_reasons=("emulated: x", "61 % of the answers"))
    grey = page_of(row, measurement()).partition('class="greyed"')[2].partition("</tr>")[0]
    assert "61 % of the answers" in grey


def test_a_row_that_cannot_be_trusted_is_grey_and_says_why() -> None:
    page = page_of(measurement(reasons=("throttled: 1800 to 1400 MHz",)), measurement(threads=2))
    grey = page.partition('class="greyed"')[2].partition("</tr>")[0]
    assert "throttled: 1800 to 1400 MHz" in grey


def test_each_target_has_its_section_and_a_list_leads_there() -> None:
    board = dataclasses.replace(
        measurement(median=9.0),
        target="ssh:pi4",
        machine={"board": "Raspberry Pi 4 Model B Rev 1.4"},
    )
    page = page_of(measurement(), board)
    assert "On cpu: AMD EPYC" in page
    assert "On ssh:pi4: Raspberry Pi 4 Model B Rev 1.4" in page
    for link in re.findall(r'href="(#target-\d+)"', page):
        assert f'id="{link[1:]}"' in page
    assert "on cpu." in page.partition("</h1>")[0]


def test_threads_are_drawn_as_gains_where_there_are_two_counts() -> None:
    one, two = measurement(median=4.0, threads=1), measurement(median=2.0, threads=2)
    assert thread_scaling(build(Collected(measurements=(one,)))) == ""
    drawing = thread_scaling(build(Collected(measurements=(two, one))))
    assert "2.0 times as fast" in drawing
    assert "Gain by threads of 1 file" in drawing


def test_rows_of_another_batch_are_no_gain() -> None:
    one = measurement(median=4.0, threads=1)
    many = measurement(median=16.0, threads=2)
    many = dataclasses.replace(many, protocol={**many.protocol, "batch": 8})
    assert thread_scaling(build(Collected(measurements=(one, many)))) == ""


def test_the_parts_of_memory_add_up_to_the_peak_and_the_image_is_beside() -> None:
    row = measurement(peak=53.4)
    row = dataclasses.replace(row, protocol={"frame_shape": [480, 640, 3]})
    parts = {part.class_: part.mb for part in memory_parts(row)}
    assert parts["image"] == pytest.approx(0.9216)
    assert parts["python"] + parts["runtime"] + parts["arena"] == pytest.approx(53.4)
    assert parts["arena"] == 1.9


@pytest.mark.parametrize(
    "memory",
    [
        Memory(baseline=90.0, arena=5.0, rss_anon=1, rss_file=1, rss_peak=50.0),
        Memory(baseline=30.0, arena=500.0, rss_anon=1, rss_file=1, rss_peak=50.0),
        Memory(baseline=30.0, arena=None, rss_anon=1, rss_file=1, rss_peak=50.0),
    ],
)
@pytest.mark.parametrize("shape", [None, "480x640", [0, -1], [1e9], [True], ["a"]])
def test_figures_that_contradict_each_other_still_make_a_bar(memory: Memory, shape: object) -> None:
    row = dataclasses.replace(measurement(), memory_mb=memory, protocol={"frame_shape": shape})
    parts = memory_parts(row)
    assert all(part.mb > 0 for part in parts)
    assert sum(part.mb for part in parts) <= 50.0 + 1e-9
    assert memory_bars(build(Collected(measurements=(row,))))


def timed() -> Measurement:
    ops = tuple(
        OpTime(
            operation="CONV_2D",
            name=f"net/block{i}_1/convolution",
            output_shape=(1, 8, 8, 8),
            dtype="int8",
            macs=1000,
            kernel="k",
            ms=1.0 / (1 + i) if i else None,
            share=0.1,
        )
        for i in range(20)
    )
    about = PerOpAbout(method="m", runs=9, plain_ms=2.3, inference_ms=2.4, residual_ms=0.1)
    return dataclasses.replace(measurement(), per_op=ops, per_op_about=about)


def test_operations_stand_beside_their_layers_error() -> None:
    page = page_of(timed(), noises=(network(*(1.0 for _ in range(20))),))
    part = page.partition("Where the time of an inference goes")[2].partition("</section>")[0]
    assert "30.5" in part  # SQNR of the sample's layers
    assert "5.0" in part  # a twentieth of the noise
    assert "4 shorter ones not shown" in part


def test_operations_without_an_error_known_have_no_column_for_it() -> None:
    part = page_of(timed()).partition("Where the time of an inference goes")[2]
    assert "SQNR" not in part.partition("</section>")[0]


def test_the_summary_in_the_terminal_tells_targets_and_kinds_of_figures_apart() -> None:
    rows = (measurement(), predicted(), counted())
    table = summary_table(Collected(measurements=rows))
    names = [str(column.header) for column in table.columns]
    assert {"target", "predicted", "instructions"} <= set(names)
    words = {str(cell) for cell in table.columns[-1].cells}
    assert words == {"yes", "prediction", "counted"}


def test_the_roof_is_a_column_where_it_was_measured() -> None:
    part = "Where the time of an inference goes"
    assert "Of the roof" not in page_of(timed()).partition(part)[2]
    ops = tuple(dataclasses.replace(op, roof_ms=0.25 * op.ms if op.ms else None)
                for op in timed().per_op)  # fmt: skip
    told = page_of(dataclasses.replace(timed(), per_op=ops)).partition(part)[2]
    assert "Of the roof" in told
    assert ">25.0 %<" in told


def test_heat_clock_and_energy_of_the_runs_stand_with_their_target() -> None:
    samples = [{"s": 0, "temperature_c": 48.0, "clock_mhz": 1500}, {"temperature_c": 61.5}, "?"]
    row = dataclasses.replace(measurement(), machine={"sampled": samples}, energy_mj=12.0)
    page = page_of(row)
    assert "Heat: 48 to 61.5 °C." in page
    assert "Clock: 1,500 to 1,500 MHz." in page
    assert "Energy of an image, whole processor: 12 to 12 mJ." in page


def test_the_doctor_s_findings_stand_with_their_target(tmp_path: Path) -> None:
    (tmp_path / "doctor.json").write_text(json.dumps(DOCTOR))
    board = dataclasses.replace(measurement(), target="ssh:pi4")
    found = dataclasses.replace(collect_with(tmp_path, board), notes=())
    page = render(found)
    assert "Doctor: not usable" in page
    assert "9 MB free" in page
    assert "1 check without complaint" in page


def collect_with(folder: Path, row: Measurement) -> Collected:
    from edgecnn.core import schema

    (folder / "row.json").write_text(schema.dumps(row))
    return collect([folder])


def test_a_damaged_examination_is_refused(tmp_path: Path) -> None:
    (tmp_path / "doctor.json").write_text(json.dumps({**DOCTOR, "targets": [{"target": 3}]}))
    with pytest.raises(InputError, match="a bad Examinations"):
        collect([tmp_path])


@pytest.mark.parametrize("payload", ["<script>x</script>", '"><img src=x>'])
def test_what_boards_say_stays_text(payload: str) -> None:
    finding = DoctorFinding(check=payload, level="error", what=payload, fix=payload)
    examined = Examined(target=payload, usable=False, findings=(finding,))
    row = dataclasses.replace(
        timed(), target=payload, machine={"board": payload, "cpu": payload}, runtime=payload
    )
    page = page_of(row, measurement(), examined=(examined,))
    assert payload not in page
