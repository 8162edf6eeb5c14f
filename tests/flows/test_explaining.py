"""A checkpoint, or an export, explained layer by layer."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from edgecnn.core import schema
from edgecnn.core.errors import InputError
from edgecnn.core.noise import Noise
from edgecnn.flows.explaining import Look, Question, explain_layers, prospects
from edgecnn.report import collect


@pytest.mark.parametrize("arch", ["mobilenet_v3_small", "efficientnet_b0"])
def test_the_catalogue_warns_before_anything_is_quantized(arch: str) -> None:
    assert "squeeze-excitation" in str(prospects(arch))


@pytest.mark.parametrize("arch", ["mobilenet_v2", "efficientnet_lite0", "foreign"])
def test_what_does_well_or_is_not_known_gets_no_warning(arch: str) -> None:
    assert prospects(arch) is None


@pytest.mark.tensorflow
def test_an_export_explains_its_int8_files_beside_them(checkpoint: Any, tmp_path: Path) -> None:
    from edgecnn.export import Options, export

    look = Look(measured=True)
    options = Options(formats=("tflite", "onnx"), schemes=("int8",), rounding="nearest", look=look)
    export(checkpoint, tmp_path, options)
    content = json.loads((tmp_path / "digits-int8.layers.json").read_text())
    noise = schema.decode(Noise, content, where="layers.json")
    assert noise == look.noise
    assert (noise.file, noise.data, noise.n_alone) == ("digits-int8.tflite", "the val part", 16)
    assert collect([tmp_path]).noises == (noise,)


@pytest.mark.tensorflow
def test_a_quick_export_is_advised_and_not_measured(checkpoint: Any, tmp_path: Path) -> None:
    from edgecnn.export import Options, export

    look = Look(measured=False)
    export(checkpoint, tmp_path, Options(schemes=("int8",), rounding="nearest", look=look))
    assert (look.noise, look.advice) == (None, ())
    assert not list(tmp_path.glob("*.layers.json"))


@pytest.mark.tensorflow
def test_a_float_export_has_nothing_to_explain(checkpoint: Any, tmp_path: Path) -> None:
    from edgecnn.export import Options, export

    look = Look(measured=True)
    export(checkpoint, tmp_path, Options(look=look))
    assert look.noise is None
    assert not list(tmp_path.glob("*.layers.json"))


def test_a_checkpoint_without_photos_asks_for_some(checkpoint: Any, tmp_path: Path) -> None:
    from edgecnn.core import checkpoint as checkpoints

    card = dataclasses.replace(checkpoint.card, data=None)
    orphan = checkpoints.write(
        tmp_path / "orphan",
        card,
        save_model=lambda path: shutil.copyfile(checkpoint.model_path, path),
    )
    with pytest.raises(InputError, match="add --data"):
        explain_layers(orphan.path, Question())
