from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from edgecnn.core import checkpoint, schema
from edgecnn.core.artifact import Artifact, FileInput, FileMetadata, FileOutput, Measured
from edgecnn.core.errors import InputError
from edgecnn.core.image import Preprocessing
from edgecnn.report import Collected, collect
from edgecnn.report.collect import ArtifactRow
from tests.report.samples import card


def test_everything_in_a_folder_is_found(results: Path, collected: Collected) -> None:
    found = collect([results])
    assert sorted(m.model for m in found.measurements) == sorted(
        m.model for m in collected.measurements
    )
    assert found.parities == collected.parities
    assert found.artifacts == collected.artifacts
    assert found.notes == ()


def test_a_checkpoint_is_found_by_its_card(tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "run", card(), save_model=lambda path: path.write_bytes(b"weights"))
    found = collect([tmp_path])
    assert [c.name for c in found.cards] == ["flowers"]


def test_the_same_result_counts_once(results: Path, collected: Collected) -> None:
    copy = results / "copy" / "row0.json"
    copy.parent.mkdir()
    copy.write_bytes((results / "row0.json").read_bytes())
    found = collect([results, results / "row0.json", copy.parent])
    assert len(found.measurements) == len(collected.measurements)


@pytest.mark.parametrize("content", ['{"a": 1}', "[1]", "3", "not json at all"])
def test_json_of_others_is_passed_over_with_a_note(results: Path, content: str) -> None:
    (results / "package.json").write_text(content)
    assert "package.json is not one of our JSON files" in collect([results]).notes[0]


def test_other_kinds_of_ours_and_of_later_versions(results: Path) -> None:
    (results / "future.json").write_text('{"schema": "edgecnn/dream/1"}')
    assert len(collect([results]).notes) == 1
    (results / "later.json").write_text('{"schema": "edgecnn/parity/99"}')
    with pytest.raises(InputError, match=r"later\.json"):
        collect([results])


@pytest.mark.parametrize("cut", [200, -3])
def test_a_damaged_row_is_an_error_that_names_it(results: Path, cut: int) -> None:
    path = results / "row3.json"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match=r"row3\.json"):
        collect([results])


@pytest.mark.parametrize("name", ["card.json", "export.json", "parity.json"])
def test_our_own_files_are_never_passed_over(results: Path, name: str) -> None:
    (results / name).write_text("{}")
    with pytest.raises(InputError, match=name):
        collect([results])


def test_an_edited_card_is_refused(tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "run", card(), save_model=lambda path: path.write_bytes(b"weights"))
    path = tmp_path / "run" / "card.json"
    path.write_text(path.read_text().replace('"params": 3377413', '"params": 3'))
    with pytest.raises(InputError, match="edited"):
        collect([tmp_path])


def test_unfinished_work_is_not_looked_at(results: Path) -> None:
    (results / ".row.partial-x").mkdir()
    (results / ".row.partial-x" / "row.json").write_text('{"schema": "edgecnn/measurement/1"')
    assert collect([results]).notes == ()


def test_model_files_given_by_a_shell_are_passed_over(results: Path) -> None:
    model = results / "flowers-int8.tflite"
    model.write_bytes(b'TFL3 "edgecnn/artifact/1"')
    assert len(collect([results, model]).notes) == 1


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_nothing_to_report_says_what_to_give(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no such|nothing to report"):
        collect([tmp_path / name])


def test_rows_of_export_are_understood(tmp_path: Path) -> None:
    metadata = FileMetadata(
        name="flowers",
        task="classify",
        classes=("a", "b"),
        arch="ds_cnn",
        format="tflite",
        scheme="int8",
        preprocessing=Preprocessing(height=8, width=8),
        input=FileInput(dtype="uint8"),
        output=FileOutput(dtype="uint8"),
        source_sha256="00",
        calibration=None,
        versions={},
        opcodes={},
        measured=Measured(n=10, split="val", top1=0.5, float_top1=0.6, agreement_pct=90.0),
    )
    made = Artifact(
        path=tmp_path / "x.tflite", metadata=metadata, bytes=9, sha256="11", seconds=1.0
    )
    row = schema.decode(ArtifactRow, json.loads(schema.dumps(made.to_row())), where="row")
    assert (row.n, row.split, row.top1) == (10, "val", 0.5)
    later = {**made.to_row(), "colour": "blue"}
    content = {"schema": "edgecnn/export/1", "source_sha256": "00", "artifacts": [later]}
    (tmp_path / "export.json").write_text(json.dumps(content))
    assert collect([tmp_path]).artifacts == (row,)
    assert dataclasses.fields(ArtifactRow)
