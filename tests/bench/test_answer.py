from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgecnn.bench.answer import check
from edgecnn.core.errors import InputError, MissingExtra

GOOD: dict[str, Any] = {
    "schema": "edgecnn/worker/1",
    "runtime_version": "2.3.0",
    "delegate": "XNNPACK",
    "delegated_nodes": 3,
    "total_nodes": 3,
    "input_shape": [1, 8, 8, 3],
    "input_dtype": "uint8",
    "output_shape": [1, 4],
    "output_dtype": "uint8",
    "finite": True,
    "init_ms": 1.0,
    "first_ms": 2.0,
    "warmup_runs": 10,
    "samples_ms": [1.0, 2.0],
    "memory_mb": {"baseline": 30.0, "rss_anon": 9.0, "rss_file": 30.0, "rss_peak": 40.0},
    "machine": {"arch": "aarch64"},
}


def checked(answer: dict[str, Any]) -> Any:
    return check(answer, model=Path("m.tflite"), runtime="litert")


def test_a_good_answer_keeps_its_numbers() -> None:
    assert checked(GOOD).samples_ms == (1.0, 2.0)


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "edgecnn/worker/9"},
        {"samples_ms": "fast"},
        {"samples_ms": [float("nan")]},
        {"memory_mb": None},
        {"surprise": 1},
        {"error": "text"},
    ],
)
def test_an_answer_that_is_not_as_agreed_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="a bad Answer"):
        checked(GOOD | change)


def failed(kind: str, text: str) -> dict[str, Any]:
    return {"schema": "edgecnn/worker/1", "error": {"kind": kind, "text": text}}


def test_an_absent_runtime_names_the_pip_install() -> None:
    with pytest.raises(MissingExtra, match=r"pip install 'edgecnn\[tflite\]'"):
        checked(failed("no_runtime", "ModuleNotFoundError: No module named 'ai_edge_litert'"))


def test_a_runtime_that_breaks_on_import_is_told_from_an_absent_one() -> None:
    with pytest.raises(InputError, match="environment of its own") as caught:
        checked(failed("no_runtime", "SystemError: numpy 2"))
    assert not isinstance(caught.value, MissingExtra)


def test_a_refused_file_is_one_line_even_when_the_runtime_says_many() -> None:
    with pytest.raises(InputError) as caught:
        checked(failed("bad_file", "line one\nline two " + "x" * 5000))
    assert str(caught.value).startswith("a file that litert refuses (line one line two")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
