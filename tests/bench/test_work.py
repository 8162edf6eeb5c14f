from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.bench.work import work_of
from edgecnn.runtime.inspect import inspect, read_graph

KINDS = ["spatial", "depthwise", "spatial", "depthwise", "dense"]


@pytest.mark.parametrize("name", ["tiny-float32.tflite", "tiny-int8.tflite"])
def test_work_of_a_file_is_what_inspect_counts(tiny_files: Path, name: str) -> None:
    path = tiny_files / name
    work = work_of(read_graph(path))
    assert sum(one.macs for one in work) == inspect(path)["macs"]
    assert [one.kind for one in work if one.macs] == KINDS


def test_precision_is_that_of_each_operation(tiny_files: Path) -> None:
    whole = work_of(read_graph(tiny_files / "tiny-int8.tflite"))
    assert {one.dtype for one in whole if one.macs} == {"int8"}
    plain = work_of(read_graph(tiny_files / "tiny-float32.tflite"))
    assert {one.dtype for one in plain} == {"float32"}


def test_a_convolution_moves_what_it_reads_and_writes(tiny_files: Path) -> None:
    first = next(one for one in work_of(read_graph(tiny_files / "tiny-float32.tflite")) if one.macs)
    image, kernel, bias, result = 32 * 32 * 3, 8 * 3 * 3 * 3, 8, 16 * 16 * 8
    assert first.moved == image + kernel + bias + result
    assert first.macs == result * 3 * 3 * 3
