from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.bench.answer import ProcessMemory
from edgecnn.bench.memory import arena_mb, memory_of
from edgecnn.core.errors import InputError


def test_a_tflite_file_plans_its_activations(shared: Path) -> None:
    planned = arena_mb(shared / "models" / "mobilenet_v1_0.25_128_quant.tflite", "tflite")
    # The largest pair alive at once is 64x64x8 beside 64x64x16, one byte a value.
    assert planned is not None
    assert 64 * 64 * (8 + 16) / 1e6 <= planned < 0.3


def test_onnx_plans_nothing_beforehand(tmp_path: Path) -> None:
    assert arena_mb(tmp_path / "any.onnx", "onnx") is None


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(b"no flatbuffer")
    with pytest.raises(InputError, match=r"m\.tflite"):
        arena_mb(path, "tflite")


def test_both_sides_are_joined() -> None:
    process = ProcessMemory(baseline=30, rss_anon=10, rss_file=25, rss_peak=40)
    memory = memory_of(process, arena=0.5)
    assert memory is not None
    assert (memory.arena, memory.rss_peak) == (0.5, 40)


def test_a_system_that_tells_nothing_gives_no_memory() -> None:
    process = ProcessMemory(baseline=None, rss_anon=None, rss_file=None, rss_peak=None)
    assert memory_of(process, arena=0.5) is None
