from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.core.artifact import FileInput, FileMetadata, FileOutput
from edgecnn.core.errors import InputError
from edgecnn.runtime import wiring
from edgecnn.runtime.engine import Port

HERE = Path("model.tflite")
SCORES = Port(shape=(1, 4), dtype="float32")


def image_port(dtype: str = "uint8", **quantization: float) -> Port:
    return Port(shape=(1, 24, 32, 3), dtype=dtype, **quantization)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("dtype", "expected"), [("uint8", [0, 255]), ("int8", [-128, 127]), ("float32", [0.0, 255.0])]
)
def test_a_foreign_file_takes_raw_pixels_in_its_own_type(dtype: str, expected: list[float]) -> None:
    ends = wiring.assumed(image_port(dtype), SCORES, where=HERE)
    pixels = np.array([[[0], [255]]], np.uint8)
    tensor = wiring.to_input(pixels, wiring.pixel_table(ends.input), "NHWC")
    assert tensor.dtype == dtype
    assert tensor.reshape(-1).tolist() == expected


def test_a_given_normalization_passes_through_the_inputs_quantization() -> None:
    port = image_port("int8", scale=1 / 128, zero_point=-1)
    ends = wiring.assumed(port, SCORES, normalization=(1 / 128, -127 / 128), where=HERE)
    table = wiring.pixel_table(ends.input)
    assert table is not None
    assert table[[0, 127, 254, 255]].tolist() == [-128, -1, 126, 127]


def test_pixels_beyond_the_types_range_are_cut_off() -> None:
    table = wiring.pixel_table(FileInput(dtype="int8", scale=2.0, offset=-128.0))
    assert table is not None
    assert table[[0, 100, 200]].tolist() == [-128, 72, 127]


def test_size_and_channels_come_from_the_input_in_either_layout() -> None:
    rows = wiring.assumed(image_port(), SCORES, where=HERE)
    planes = wiring.assumed(Port(shape=(-1, 3, 24, 32), dtype="float32"), SCORES, where=HERE)
    assert rows.preprocessing.shape == planes.preprocessing.shape == (24, 32, 3)
    assert (rows.input.layout, planes.input.layout) == ("NHWC", "NCHW")


def test_planes_go_in_as_planes() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert np.array_equal(wiring.to_input(pixels, None, "NCHW")[0, 1], pixels[:, :, 1])


@pytest.mark.parametrize(
    "shape", [(1, 10), (8, 24, 32, 3), (1, 24, 32, 7), (1, -1, -1, 3), (1, 99_999, 32, 3), ()]
)
def test_an_input_that_is_no_image_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="image"):
        wiring.assumed(Port(shape=shape, dtype="uint8"), SCORES, where=HERE)


def test_a_type_that_nobody_can_fill_is_refused() -> None:
    with pytest.raises(InputError, match="from int64 to float32"):
        wiring.assumed(image_port("int64"), SCORES, where=HERE)


@pytest.mark.parametrize("shape", [(), (8, 4), (1, -1), (1, 0)])
def test_an_output_of_no_fixed_size_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="an output of shape"):
        wiring.output_count(Port(shape=shape, dtype="float32"), where=HERE)


def test_a_description_must_fit_the_file(description: Callable[..., FileMetadata]) -> None:
    told = description("tflite", "uint8")
    fits, result = Port(shape=(1, 32, 32, 3), dtype="uint8"), Port(shape=(1, 4), dtype="uint8")
    assert wiring.told(told, fits, result, where=HERE).input == told.input
    for source in (image_port("uint8"), Port(shape=(1, 32, 32, 3), dtype="int8")):
        with pytest.raises(InputError, match="does not fit"):
            wiring.told(told, source, result, where=HERE)


@given(st.integers(-128, 127), st.floats(1e-6, 10), st.integers(-128, 127))
def test_scores_are_the_real_values_of_the_output(value: int, scale: float, zero: int) -> None:
    how = FileOutput(dtype="int8", scale=scale, zero_point=zero)
    score = wiring.to_scores(np.full((1, 1, 1), value, np.int8), how)
    assert score.dtype == np.float32
    assert score[0] == pytest.approx((value - zero) * scale, rel=1e-6)


def test_labels_are_lines_without_the_blank_ones_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes("\ufeffAffe \r\nBär\r\n\r\nKatze\r\n\r\n".encode())
    assert wiring.read_labels(path) == ("Affe", "Bär", "", "Katze")


def test_labels_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="no UTF-8 text"):
        wiring.read_labels(path)
    with pytest.raises(InputError, match="no such labels file"):
        wiring.read_labels(tmp_path / "none.txt")
