from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgecnn.core.errors import InputError
from edgecnn.flows.inspecting import Look, inspect_model
from edgecnn.report import network_svg

pytestmark = pytest.mark.tensorflow


def test_an_architecture_is_inspected_by_its_name() -> None:
    facts = inspect_model("ds_cnn", Look(size=64, alpha=0.5, classes=5, batch=16))
    assert {"params", "macs", "activation_peak_bytes", "bytes", "layers"} < set(facts)
    assert facts["params"] == sum(layer["params"] for layer in facts["layers"])
    assert facts["bytes"] == 4 * facts["params"]
    assert facts["layers"][-1]["output_shape"] == [5]
    assert facts["inputs"][0]["shape"] == [1, 64, 64, 3]
    assert facts["training"]["batch"] == 16
    assert facts["receptive_field"][0] > 64
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts


def test_a_row_of_the_catalogue_has_its_own_width_and_size() -> None:
    facts = inspect_model("mobilenet_v2_0.35")
    assert (facts["arch"], facts["alpha"], facts["size"]) == ("mobilenet_v2", 0.35, 224)
    assert (facts["params"], facts["macs"]) == (1_691_208, 59_285_808)


def test_more_photos_a_step_take_more_memory() -> None:
    few, many = (
        inspect_model("ds_cnn", Look(size=32, batch=batch))["training"]["bytes"] for batch in (8, 9)
    )
    whole = inspect_model("ds_cnn", Look(size=32))["layers"]
    assert many - few == 4 * 32 * 32 * 3 + sum(layer["activation_bytes"] for layer in whole)


@pytest.mark.parametrize(
    ("model", "look", "what"),
    [
        ("mobilnet_v2", Look(), "no file, checkpoint or architecture 'mobilnet_v2'.*mobilenet_v2"),
        ("absent.tflite", Look(), "absent.tflite"),
        ("no/such/folder", Look(), "no/such/folder"),
        ("ds_cnn", Look(size=4), "use --size"),
        ("ds_cnn", Look(alpha=9.0), "alpha 9.0"),
        ("ds_cnn", Look(classes=1), "1 classes"),
        ("ds_cnn", Look(classes=0), "0 classes"),
        ("ds_cnn", Look(size=32, shapes={"image": (1, 3)}), "--shape for a network"),
        ("absent.onnx", Look(size=32), "--size for a model that has its own"),
    ],
)
def test_what_cannot_be_inspected_is_said_in_one_line(model: str, look: Look, what: str) -> None:
    with pytest.raises(InputError, match=what) as caught:
        inspect_model(model, look)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_and_its_network_agree(checkpoint: Any) -> None:
    facts = inspect_model(str(checkpoint.path))
    named = inspect_model("ds_cnn", Look(size=32, classes=len(checkpoint.card.classes)))
    assert facts["layers"] == named["layers"]
    assert facts["bytes"] == (checkpoint.path / "model.keras").stat().st_size
    assert facts["metadata"]["arch"] == "ds_cnn"


def test_every_kind_of_model_can_be_drawn(tiny_files: Path) -> None:
    pytest.importorskip("onnx")
    for model in ("ds_cnn", *map(str, sorted(tiny_files.iterdir()))):
        assert network_svg(inspect_model(model)).startswith("<svg ")
