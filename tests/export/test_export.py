from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest

from edgecnn.core import checkpoint as checkpoints
from edgecnn.core.errors import CheckFailed, InputError

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def by_name(exported):
    return {(a.metadata.format, a.metadata.scheme): a for a in exported}


def test_every_scheme_that_a_format_has_becomes_a_file_named_after_the_checkpoint(by_name):
    assert set(by_name) == {
        ("tflite", "float32"), ("tflite", "float16"), ("tflite", "dynamic"), ("tflite", "int8"),
        ("onnx", "float32"), ("onnx", "float16"), ("onnx", "int8"),
    }  # fmt: skip
    for (suffix, scheme), artifact in by_name.items():
        assert artifact.path.name == f"digits-{scheme}.{suffix}"


@pytest.mark.parametrize("suffix", ["tflite", "onnx"])
def test_float32_files_are_the_checkpoint(by_name, checkpoint, suffix):
    from edgecnn import data, evaluate, zoo
    from edgecnn.runtime import load

    photos, _ = data.examples_for("digits", checkpoint.card.classes, checkpoint.card.data, limit=60)
    expected, _ = evaluate.scores_of(zoo.CheckpointRunner(checkpoint), photos)
    found, _ = evaluate.scores_of(load(by_name[suffix, "float32"].path), photos)
    assert by_name[suffix, "float32"].metadata.measured.agreement_pct == 100
    assert np.abs(found - expected).max() <= 1e-4


@pytest.mark.parametrize("suffix", ["tflite", "onnx"])
def test_int8_files_keep_nearly_all_answers(by_name, suffix):
    measured = by_name[suffix, "int8"].metadata.measured
    assert measured.agreement_pct >= 97
    assert measured.n > 200
    assert measured.split == "val"


def test_smaller_schemes_make_smaller_files(by_name):
    for suffix in ("tflite", "onnx"):
        whole = by_name[suffix, "float32"].bytes
        assert by_name[suffix, "float16"].bytes < 0.7 * whole
        assert by_name[suffix, "int8"].bytes < 0.55 * whole


def test_an_int8_file_takes_a_cameras_bytes_and_says_so(by_name):
    from edgecnn.runtime import load

    for suffix in ("tflite", "onnx"):
        artifact = by_name[suffix, "int8"]
        model = load(artifact.path)
        assert model.metadata == artifact.metadata
        assert (model.input.dtype, model.input.scale, model.input.offset) == ("uint8", 1, 0)
        assert artifact.metadata.calibration.n == 200


@pytest.mark.parametrize("io", ["int8", "float32"])
def test_other_input_types_give_the_same_answers(by_name, checkpoint, tmp_path, io):
    from edgecnn.core.image import Preprocessing
    from edgecnn.export import Options, export
    from edgecnn.runtime import load

    options = Options(formats=("tflite", "onnx"), schemes=("int8",), io=io)
    size: Preprocessing = checkpoint.card.preprocessing
    photos = np.random.default_rng(0).integers(0, 256, (8, *size.shape), dtype=np.uint8)
    for artifact in export(checkpoint, tmp_path / io, options):
        usual = load(by_name[artifact.metadata.format, "int8"].path).run(photos)
        assert np.abs(load(artifact.path).run(photos) - usual).max() <= 1.01 / 256


def test_exports_to_one_folder_add_up(checkpoint, tmp_path):
    from edgecnn.export import Options, export

    export(checkpoint, tmp_path, Options(schemes=("float32",)))
    export(checkpoint, tmp_path, Options(schemes=("float16",)))
    rows = json.loads((tmp_path / "export.json").read_text())["artifacts"]
    assert [row["scheme"] for row in rows] == ["float16", "float32"]


def test_a_file_of_the_same_name_is_not_replaced_unasked(checkpoint, tmp_path):
    from edgecnn.export import Options, export

    (tmp_path / "digits-float32.tflite").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"already a result in .*digits-float32.tflite: .*--force"):
        export(checkpoint, tmp_path, Options())
    assert (tmp_path / "digits-float32.tflite").read_bytes() == b"mine"


def test_a_folder_of_another_checkpoint_is_refused(checkpoint, tmp_path):
    from edgecnn.export import Options, export

    export(checkpoint, tmp_path, Options())
    card = dataclasses.replace(checkpoint.card, model_sha256="0" * 64)
    other = checkpoints.Checkpoint(checkpoint.path, card)
    with pytest.raises(InputError, match="another checkpoint"):
        export(other, tmp_path, Options(schemes=("float16",)))


def test_int8_without_photos_asks_for_calibration(checkpoint, tmp_path):
    from edgecnn.export import Options, export

    lost = dataclasses.replace(checkpoint.card.data, source=str(tmp_path / "gone"))
    for manifest in (None, lost):
        card = dataclasses.replace(checkpoint.card, data=manifest)
        with pytest.raises(InputError, match="--calibration"):
            export(
                checkpoints.Checkpoint(checkpoint.path, card), tmp_path, Options(schemes=("int8",))
            )


def test_without_labelled_photos_agreement_comes_from_photos_kept_aside(checkpoint, tmp_path):
    from edgecnn.export import Options, export

    card = dataclasses.replace(checkpoint.card, data=None)
    options = Options(schemes=("int8",), calibration="digits", calibration_count=50)
    (artifact,) = export(checkpoints.Checkpoint(checkpoint.path, card), tmp_path, options)
    measured = artifact.metadata.measured
    assert (measured.top1, measured.float_top1) == (None, None)
    assert measured.agreement_pct >= 95
    assert artifact.to_row()["calibration"]["n"] == 50


def test_dynamic_range_is_not_offered_in_onnx():
    from edgecnn.export import Options

    with pytest.raises(InputError, match="no dynamic files in ONNX"):
        Options(formats=("onnx",), schemes=("dynamic",))


def test_an_unknown_scheme_offers_the_nearest():
    from edgecnn.export import Options

    with pytest.raises(InputError, match="try int8"):
        Options(schemes=("int9",))


@pytest.mark.parametrize(("suffix", "scheme"), [("tflite", "dynamic"), ("onnx", "float32")])
def test_a_file_with_float_islands_is_not_called_int8(by_name, suffix, scheme):
    from edgecnn.export.checks import check_file

    artifact = by_name[suffix, scheme]
    with pytest.raises(CheckFailed, match="is not the int8 file"):
        check_file(
            artifact.path.read_bytes(), suffix, scheme="int8", io="float32", where=artifact.path
        )


def test_two_exports_of_one_checkpoint_are_the_same_bytes(by_name, checkpoint, tmp_path):
    from edgecnn.export import Options, export

    (again,) = export(checkpoint, tmp_path, Options(schemes=("int8",)))
    first = shutil.copy(by_name["tflite", "int8"].path, tmp_path / "first.tflite")
    assert again.path.read_bytes() == first.read_bytes()


@pytest.fixture(scope="module")
def with_lrn(checkpoint, tmp_path_factory):
    """A checkpoint, untrained, of a network with an operation that has no int8 kernel."""
    from edgecnn import zoo

    normalization = zoo.find("googlenet").normalization
    card = dataclasses.replace(
        checkpoint.card, name="run", arch="googlenet", normalization=normalization
    )
    model = zoo.classifier("googlenet", len(card.classes), shape=card.preprocessing.shape)
    folder = tmp_path_factory.mktemp("lrn")
    return checkpoints.write(folder / "run", card, save_model=model.save)


def test_what_has_no_int8_kernel_is_refused_unless_mixed_is_allowed(with_lrn, tmp_path):
    from edgecnn.export import Options, export

    options = Options(schemes=("int8",), calibration_count=10, rounding="nearest")
    with pytest.raises(InputError, match=r"LOCAL_RESPONSE_NORMALIZATION in run as .*--mixed"):
        export(with_lrn, tmp_path, options)
    (made,) = export(with_lrn, tmp_path, dataclasses.replace(options, mixed=True))
    assert made.path.name.endswith("-mixed.tflite")
    assert made.metadata.scheme == "mixed"


def test_a_budget_writes_the_plan_and_the_rungs(checkpoint, tmp_path):
    from edgecnn.export import Options, export
    from edgecnn.export.ladder import rungs_tried

    options = Options(schemes=("int8",), calibration_count=40, max_drop=100.0)
    (made,) = export(checkpoint, tmp_path, options)
    nearest, rung = rungs_tried(tmp_path)
    assert [nearest.name, rung.name] == ["nearest rounding", "compensated rounding"]
    assert rung.latency_ms > 0
    plan = json.loads((tmp_path / f"{checkpoint.card.name}-int8.plan.json").read_text())
    assert plan["schema"].startswith("edgecnn/quantization-plan/")
    assert {layer["precision"] for layer in plan["layers"].values()} == {"int8"}
    assert {layer.get("rounding") for layer in plan["layers"].values()} == {"compensated", None}
    assert made.metadata.scheme == "int8"


def test_the_best_file_says_that_no_rung_keeps_to_the_budget(checkpoint, tmp_path, monkeypatch):
    from edgecnn.cli.export import _dropped
    from edgecnn.export import Options, export, exporter
    from edgecnn.export.rungs import rungs

    monkeypatch.setattr(exporter, "rungs", lambda writers: iter([next(rungs(writers))]))
    card = dataclasses.replace(checkpoint.card, data=None)  # no labels: changed answers count
    options = Options(schemes=("int8",), calibration="digits", calibration_count=1, max_drop=0.0)
    (made,) = export(checkpoints.Checkpoint(checkpoint.path, card), tmp_path, options)
    assert made.path.is_file()
    said = made.metadata.warnings[0]
    assert said.startswith("no rung keeps to 0 points: the best is nearest rounding: drop +")
    changed = 100 - made.metadata.measured.agreement_pct
    assert _dropped([made], 0.0) == [f"{made.path.name} changes {changed:.2f} % of the answers"]
    assert _dropped([made], 100.0) == []


def test_training_with_rounding_goes_into_both_formats(checkpoint, tmp_path):
    from edgecnn.export import Options, export

    options = Options(
        formats=("tflite", "onnx"),
        schemes=("int8",),
        rounding="nearest",
        ranges="average",  # bad ones: there is something to gain
        calibration_count=100,
        qat=3,
    )
    made = export(checkpoint, tmp_path, options)
    plan = json.loads((tmp_path / f"{checkpoint.card.name}-int8.plan.json").read_text())
    assert {layer.get("rounding") for layer in plan["layers"].values()} == {"trained", None}
    assert min(artifact.metadata.measured.agreement_pct for artifact in made) >= 95


def test_training_that_gains_nothing_says_so_and_changes_nothing(checkpoint, tmp_path):
    from edgecnn.export import Options, export

    options = Options(schemes=("int8",), calibration_count=20, qat=1)
    (made,) = export(checkpoint, tmp_path, options)
    assert made.metadata.warnings[0].startswith("training with rounding gained nothing")
    plan = json.loads((tmp_path / f"{checkpoint.card.name}-int8.plan.json").read_text())
    assert {layer.get("rounding") for layer in plan["layers"].values()} == {"compensated", None}


def test_training_without_an_int8_file_is_refused():
    from edgecnn.export import Options

    with pytest.raises(InputError, match="--qat"):
        Options(schemes=("float32",), qat=2)
