from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import Any

import pytest
from rich.console import Console

from edgecnn.core.checkpoint import ClassScore
from edgecnn.core.measurement import Measurement, OpTime, PerOpAbout
from edgecnn.core.parity import Check
from edgecnn.report import text
from edgecnn.report.collect import Collected
from tests.report.samples import measurement, parity, scores


def shown(table: Any, width: int = 160) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115 - the console owns it
    console.print(table)
    console.file.close()
    return console.export_text()


def test_measurements_show_latency_memory_and_doubt() -> None:
    noisy = measurement(reasons=("busy machine",), threads=2, top1=0.82)
    lines = shown(text.measurement_table([measurement(), noisy]))
    assert "flowers-int8.tflite" in lines
    assert "litert 2.3.0" in lines
    assert "53.4 MB" in lines
    assert "82.0 % of 759" in lines
    assert "no: busy machine" in lines


def test_instructions_have_a_column_where_they_were_counted() -> None:
    counted = dataclasses.replace(
        measurement(), latency_ms=None, instructions=3_759_889, valid=False, invalid_reasons=("x",)
    )
    lines = shown(text.measurement_table([measurement(), counted]))
    assert "instructions" in lines
    assert "3,759,889" in lines
    assert "instructions" not in shown(text.measurement_table([measurement()]))


def test_a_row_without_latency_has_dashes() -> None:
    lost = dataclasses.replace(
        measurement(), latency_ms=None, memory_mb=None, valid=False, invalid_reasons=("crashed",)
    )
    lines = shown(text.measurement_table([lost]))
    assert "–" in lines
    assert "no: crashed" in lines


def test_exports_show_what_they_reached(collected: Collected) -> None:
    rows = [dataclasses.asdict(row) for row in collected.artifacts]
    rows[0] |= {"top1": None, "float_top1": None, "n": None}
    lines = shown(text.export_table(rows))
    assert "flowers-int8.onnx" in lines
    assert "4.0 MB" in lines
    assert "98.4 %" in lines
    assert "of 366" in lines


def test_parity_names_failed_checks() -> None:
    rows = list(parity().rows)
    rows[1] = dataclasses.replace(
        rows[1], checks=(Check(name="no NaN", passed=False, detail="3 photos"),)
    )
    lines = shown(text.parity_table(dataclasses.replace(parity(), rows=tuple(rows))))
    assert "failed: no NaN" in lines
    assert "+0.8" in lines
    assert lines.count("passed") == 4


def test_scores_show_the_worst_classes_first() -> None:
    lines = shown(text.scores_table(scores()))
    assert lines.index("daisy") < lines.index("tulip")
    assert "top-1 83.6 % of 779 photos (test)" in lines


def test_many_classes_are_cut_with_a_word() -> None:
    classes = tuple(f"class{i}" for i in range(25))
    assert "... and 5 better classes" in shown(text.scores_table(scores(classes)))


def test_the_summary_has_a_line_a_row(collected: Collected) -> None:
    lines = shown(text.summary_table(collected)).splitlines()
    assert sum("flowers-" in line for line in lines) == len(collected.measurements)


@pytest.mark.parametrize("name", ["[bold]x[/]", "[/nothing]", "a\x1b[31mb", "\u202eevil"])
def test_hostile_names_are_text(name: str) -> None:
    worst = ClassScore(name=name, n=1, recall=0.0, precision=None)
    table = text.scores_table(dataclasses.replace(scores(), per_class=(worst,)))
    lines = shown(table)
    assert "\x1b" not in lines
    assert "\u202e" not in lines
    if name.isprintable():
        assert name in lines


def test_importing_the_room_loads_no_table_maker() -> None:
    code = "import sys, edgecnn.report, edgecnn.report.text as t; print('rich' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def zoo_row(name: str, **weights: Any) -> dict[str, Any]:
    facts = {"top1": 0.751, "top1_source": "a paper", "licence": "MIT", "on_disk": False}
    known = [facts | {"available": True} | weights] if weights else []
    cost = {"params": 4_694_024, "macs": 385_187_552, "size": 224}
    return {"name": name, **cost, "int8": "good", "weights": known}


def test_the_zoo_shows_costs_accuracy_with_its_source_and_licence() -> None:
    rows = [
        zoo_row("here_net", on_disk=True),
        zoo_row("line_net", top1_source="another paper", top1=0.6),
        zoo_row("pip_net", available=False),
        zoo_row("own_net"),
    ]
    table, *sources = text.zoo_table(rows)
    lines = shown(table, width=80).splitlines()
    assert lines[1].split() == [
        *("here_net", "4.69", "M", "385", "M", "224", "75.1", "(1)", "good", "here", "MIT")
    ]
    assert "60.0 (2)  good  on-line" in lines[2]
    assert "75.1 (1)  good  pip" in lines[3]
    assert lines[4].split()[-3:] == ["good", "–", "–"]
    assert sources == ["  (1) a paper", "  (2) another paper"]


def with_operations(*times_ms: float | None) -> Measurement:
    operations = tuple(
        OpTime(operation="CONV_2D", name=f"net/block{i}_1/convolution", output_shape=(1, 8, 8, 4),
               dtype="int8", macs=2_000_000, kernel="GEMM" if ms else "", ms=ms, share=0.1)
        for i, ms in enumerate(times_ms)
    )  # fmt: skip
    about = PerOpAbout(method="m", runs=50, plain_ms=2.0, inference_ms=2.2, residual_ms=0.05)
    return dataclasses.replace(measurement(), per_op=operations, per_op_about=about)


def test_operations_stand_longest_first_with_what_they_do_in_their_time() -> None:
    table, total = text.operations_table(with_operations(0.5, 1.0, None))
    assert [str(cell) for cell in table.columns[1].cells] == ["block1", "block0"]
    assert [str(cell) for cell in table.columns[7].cells] == ["2.0", "4.0"]
    assert total.startswith("2 operations: 1.50 ms, 0.0500 ms outside them (of 50 ")
    assert total.endswith("1 more ran nothing: fused with others, or done at loading")


def test_many_operations_are_counted_below_the_longest() -> None:
    table, _ = text.operations_table(with_operations(*[1.0] * 30))
    assert str(list(table.columns[0].cells)[-1]) == "... and 10 shorter ones"


def test_times_as_short_as_the_clock_are_called_rough() -> None:
    assert "rough shares" in text.operations_table(with_operations(0.001, 0.001))[1]
    assert "rough" not in text.operations_table(with_operations(0.1, 0.2))[1]


def test_times_of_a_busier_moment_are_told_from_the_row_s() -> None:
    slow, median = with_operations(2.0, 2.0), 2.31
    assert "take shares, not times" in text.operations_table(slow)[1]
    assert "take shares" not in text.operations_table(with_operations(median / 2, 1.0))[1]


def test_a_batch_and_energy_are_told_by_the_image() -> None:
    plain = measurement()
    batch = dataclasses.replace(
        measurement(), protocol={"batch": 8, "delegate": "none"}, energy_mj=16.0
    )
    assert text.each_image_lines([plain]) == []
    (line,) = text.each_image_lines([batch])
    assert "delegate none, batch 8: " in line
    assert line.endswith("an image, of 8 in one inference, 2 mJ an image, whole processor")
