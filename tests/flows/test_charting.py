"""Drawings and numbers as files."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from PIL import Image

from edgecnn.core import schema
from edgecnn.core.noise import Noise
from edgecnn.flows.charting import layers_png, write_layers
from tests.report.samples import network

LOUD = network(1.0, 0.1, 0.2)


def test_the_picture_shows_the_loudest_layer_in_red() -> None:
    picture = Image.open(io.BytesIO(layers_png(LOUD)))
    assert picture.width == 1920
    colours = {colour for _, colour in picture.getcolors(1 << 20) or []}
    assert (0xB0, 0x30, 0x2C) in colours


@pytest.mark.parametrize("count", [1, 100])
def test_networks_of_any_depth_have_a_picture(count: int) -> None:
    assert layers_png(network(*[1.0] * count)).startswith(b"\x89PNG")


def test_the_suffix_chooses_what_is_written(tmp_path: Path) -> None:
    for suffix in ("json", "svg", "png"):
        write_layers(LOUD, tmp_path / f"layers.{suffix}")
    content = json.loads((tmp_path / "layers.json").read_text())
    assert schema.decode(Noise, content, where="layers.json") == LOUD
    assert (tmp_path / "layers.svg").read_text().startswith("<svg")
