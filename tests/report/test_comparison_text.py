"""A comparison as people read it."""

import dataclasses
import json

from edgecnn.core import schema
from edgecnn.report import comparison_text, gates
from edgecnn.report.collect import Collected
from edgecnn.report.comparison import compare
from tests.report.samples import measurement

HOSTILE = "a|b<script>`\x1b[2J\n@all-int8.tflite"


def test_markdown_is_one_table_of_gates_and_one_of_changes() -> None:
    found = compare(
        Collected(measurements=(measurement(bytes_=1_000_000),)),
        Collected(measurements=(measurement(bytes_=1_200_000),)),
    )
    text = comparison_text.markdown(found, gates.judge(found, [gates.parse("size:5%")]))
    assert "**1 gate broken**" in text
    assert "| size:5% | flowers-int8.tflite |  | **BROKEN** | +20.00 % |" in text
    assert "| 1.0 MB | 1.2 MB | +200 kB (+20.00 %) | exact | worse |" in text


def test_a_name_in_a_file_is_text_and_nothing_else() -> None:
    rows = Collected(measurements=(dataclasses.replace(measurement(), model=HOSTILE),))
    found = compare(rows, rows)
    text = comparison_text.markdown(found, gates.judge(found, [gates.parse("size:5%")]))
    assert "<script>" not in text
    assert "@all" not in text
    assert "\x1b" not in text
    assert all(line.count(" | ") in (0, 4, 7) for line in text.splitlines())


def test_people_are_told_what_has_no_counterpart() -> None:
    found = compare(
        Collected(measurements=(measurement(), measurement("old-int8.tflite"))),
        Collected(measurements=(measurement(), measurement("new-int8.tflite"))),
        baseline="a",
        new="b",
    )
    lines = comparison_text.remarks(found)
    assert "only in a: old-int8.tflite (cpu, litert, 1 thread)" in lines
    assert "only in b: new-int8.tflite" in lines


def test_json_has_units_verdicts_and_rulings() -> None:
    rows = Collected(measurements=(measurement(),))
    found = compare(rows, rows)
    data = comparison_text.as_json(found, gates.judge(found, [gates.parse("size:5%")]))
    data = json.loads(schema.dumps(data))
    assert data["schema"] == "edgecnn/comparison/1"
    assert data["passed"] is True
    assert data["gates"][0]["status"] == "passed"
    size = data["rows"][0]["changes"][-1]
    assert (size["metric"], size["unit"], size["verdict"]) == ("size", "B", "same")


def test_counts_of_an_emulated_board_are_compared_without_a_word_on_latency() -> None:
    rows = [
        dataclasses.replace(
            measurement(),
            latency_ms=None,
            instructions=count,
            valid=False,
            invalid_reasons=("emulated: no latency",),
        )
        for count in (1_000_000, 900_000)
    ]
    found = compare(*(Collected(measurements=(row,)) for row in rows))
    text = comparison_text.markdown(found, ())
    assert "better" in text
    assert "latencies" not in text
