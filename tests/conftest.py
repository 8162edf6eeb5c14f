"""Fixtures that several rooms share: real photos, small real models."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SHARED = Path(os.environ.get("EDGECNN_SHARED", Path(__file__).parents[2] / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real photos and weights that tests may use where it is present."""
    if not (SHARED / "data").is_dir():
        pytest.skip("real photos are absent: set EDGECNN_SHARED to their folder")
    return SHARED


@pytest.fixture(scope="session")
def tiny_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tiny-float32.tflite, tiny-int8.tflite and tiny-float32.onnx.

    Made by the stock converters from one separable network, [1, 32, 32, 3] pixels 0..255
    to 4 probabilities: foreign files, without any metadata of ours.
    """
    pytest.importorskip("tensorflow")
    folder = tmp_path_factory.mktemp("tiny")
    script = Path(__file__).parent / "tiny_models.py"
    subprocess.run([sys.executable, script, folder], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with blue/, green/ and red/: 20 small JPEG photos each, easy to tell apart."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for channel, name in ((2, "blue"), (1, "green"), (0, "red")):
        (folder / name).mkdir()
        for index in range(20):
            pixels = random.integers(0, 90, (40, 48, 3), dtype=np.uint8)
            pixels[..., channel] += 120
            Image.fromarray(pixels).save(folder / name / f"{index:02}.jpg", quality=90)
    return folder
