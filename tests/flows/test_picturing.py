from __future__ import annotations

import pytest
from PIL import Image

from edgecnn.core.errors import InputError
from edgecnn.flows.picturing import write_picture


@pytest.fixture
def predictions(photo_folder):
    return [
        {
            "image": str(photo_folder / name / "00.jpg"),
            "top": [
                {"class": name, "index": 0, "probability": 0.9},
                {"class": "a very long name of a class that nobody could ever fit", "index": 1,
                 "probability": 0.1},
            ],
        }
        for name in ("red", "blue")
    ]  # fmt: skip


def test_each_photo_is_drawn_above_the_next_with_its_best_bar_the_longest(predictions, tmp_path):
    out = tmp_path / "answers.png"
    write_picture(predictions, out, force=False)
    picture = Image.open(out).convert("RGB")
    upper, lower = (
        picture.getpixel((136, y)) for y in (picture.height // 4, picture.height * 3 // 4)
    )
    assert upper[0] > upper[2] + 60
    assert lower[2] > lower[0] + 60
    green = [
        sum(picture.getpixel((x, y)) == (15, 123, 95) for x in range(picture.width))
        for y in range(picture.height // 2)
    ]
    assert max(green) > 240
    assert 20 < min(length for length in green if length) < 40


def test_raw_outputs_of_a_foreign_file_are_drawn_too(predictions, tmp_path):
    predictions[0]["top"][0]["probability"] = 17.5
    predictions[0]["top"][1]["probability"] = -3.0
    write_picture(predictions, tmp_path / "raw.png", force=False)


def test_an_earlier_picture_is_not_replaced_unasked(predictions, tmp_path):
    out = tmp_path / "answers.png"
    out.write_bytes(b"mine")
    with pytest.raises(InputError, match="--force"):
        write_picture(predictions, out, force=False)
    assert out.read_bytes() == b"mine"
