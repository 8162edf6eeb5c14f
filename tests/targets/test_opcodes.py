from __future__ import annotations

import pytest

from edgecnn.targets.opcodes import newest_opset, newest_version


def test_releases_differ() -> None:
    assert newest_version("tflite-runtime", "2.14.0", "CONV_2D") == 7
    assert newest_version("litert", "2.3.0", "CONV_2D") == 8
    assert newest_version("tflite-runtime", "2.14.0", "STABLEHLO_SCATTER") == 0
    assert newest_version("litert", "2.1.0", "STABLEHLO_SCATTER") == 1


def test_between_two_releases_the_earlier_one_counts() -> None:
    earlier = newest_version("litert", "2.1.0", "QUANTIZE")
    assert newest_version("litert", "2.2.0", "QUANTIZE") == earlier
    assert newest_opset("1.30.0") == 23
    assert newest_opset("1.31.1") == 26


@pytest.mark.parametrize(("name", "version"), [("litert", "1.0.1"), ("litert", ""), ("x", "9.9")])
def test_what_nobody_asked_is_not_known(name: str, version: str) -> None:
    assert newest_version(name, version, "ADD") is None


def test_an_old_onnxruntime_is_not_known() -> None:
    assert newest_opset("1.2.0") is None
