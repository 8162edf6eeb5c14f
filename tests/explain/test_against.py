"""Existing files beside the float network: ours, renamed ones, ONNX, and what is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.core.errors import InputError
from tests.explain.conftest import NORMALIZATION, coarser

pytestmark = pytest.mark.tensorflow


def compared(network: Any, path: Path, *, pixels: Any, **options: Any) -> Any:
    from edgecnn.explain.against import Pictures, compare_file

    photos = [picture[None] for picture in pixels[32:44]]
    inputs = [NORMALIZATION.apply(photo) for photo in photos]
    pictures = Pictures(lambda: iter(photos), lambda: iter(inputs), about="blobs", **options)
    return compare_file(network.float_file, path, pictures)


def written(network: Any, folder: Path, plan: Any = None, *, io: str = "int8") -> Path:
    from edgecnn.quantize.tflite import quantize

    path = folder / "net.tflite"
    path.write_bytes(quantize(network.float_file, plan or network.plan, io=io).content)
    return path


def renamed(path: Path) -> Path:
    """Give each tensor a name that tells nothing."""
    from edgecnn.quantize.tflite_graph import pack, read

    model = read(path.read_bytes())
    for place, tensor in enumerate(model.subgraphs[0].tensors):
        tensor.name = f"tensor{place}"
    path.write_bytes(pack(model))
    return path


def test_a_file_of_ours_is_found_by_its_names(network: Any, pictures: Any, tmp_path: Path) -> None:
    found = compared(network, written(network, tmp_path), pixels=pictures, detailed=8)
    assert (found.file, found.data, found.n, found.n_detailed) == ("net.tflite", "blobs", 12, 8)
    assert {layer.found for layer in found.layers} == {"name"}
    assert len(found.layers) > 6
    assert all(layer.sqnr_db is None or layer.sqnr_db > 10 for layer in found.layers)
    assert found.flips <= 3


def test_the_same_file_without_its_names_is_found_by_values(
    network: Any, pictures: Any, tmp_path: Path
) -> None:
    path = written(network, tmp_path)
    named = {x.name: x.sqnr_db for x in compared(network, path, pixels=pictures).layers}
    found = compared(network, renamed(path), pixels=pictures)
    assert {layer.found for layer in found.layers} == {"values"}
    assert len(found.layers) >= 0.8 * len(named)
    alike = [np.isclose(named[x.name], x.sqnr_db, atol=0.5) for x in found.layers if x.sqnr_db]
    assert np.mean(alike) > 0.7


@pytest.mark.parametrize("io", ["uint8", "float32"])
def test_how_a_foreign_file_takes_photos_is_found_out(
    network: Any, pictures: Any, tmp_path: Path, io: str
) -> None:
    found = compared(network, renamed(written(network, tmp_path, io=io)), pixels=pictures)
    assert len(found.layers) > 6
    assert found.flips <= 3


def test_a_layer_that_was_spoilt_is_the_one_cut_off(
    network: Any, pictures: Any, tmp_path: Path
) -> None:
    name = next(n for n, layer in network.plan.layers.items() if layer.operation == "CONV_2D")
    spoilt = coarser(network.plan, name, 0.25)
    found = compared(network, written(network, tmp_path, spoilt), pixels=pictures)
    worst = max(found.layers, key=lambda layer: layer.saturated)
    assert worst.name == name
    assert worst.seen_high > worst.high


def test_an_onnx_file_in_planes_is_found_too(
    separable_network: Any, network: Any, pictures: Any, tmp_path: Path
) -> None:
    from edgecnn.export.writers import Writers

    writers = Writers(separable_network, NORMALIZATION, lambda: (p[None] for p in pictures[:16]))
    path = tmp_path / "net.onnx"
    path.write_bytes(writers.make("onnx", "int8", "uint8").content)
    found = compared(network, path, pixels=pictures)
    assert len(found.layers) > 6
    assert found.flips <= 3
    assert any(layer.found == "values" for layer in found.layers)


def test_a_file_of_another_network_is_refused(
    network: Any, pictures: Any, tiny_files: Path
) -> None:
    with pytest.raises(InputError, match=r"an output of \[4\] where the checkpoint's is \[5\]"):
        compared(network, tiny_files / "tiny-int8.tflite", pixels=pictures)


@pytest.mark.parametrize("name", ["no.tflite", "no.onnx"])
def test_what_is_no_model_is_refused(
    network: Any, pictures: Any, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(b"TFL3 or not, this is text" * 9)
    with pytest.raises(InputError):
        compared(network, path, pixels=pictures)
