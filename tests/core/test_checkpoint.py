from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from edgecnn.core import checkpoint, schema
from edgecnn.core.checkpoint import Card, Checkpoint
from edgecnn.core.errors import InputError
from edgecnn.core.image import Preprocessing
from edgecnn.core.normalization import same_for_all


def card(**changes: Any) -> Card:
    base = Card(
        name="photos",
        task="classify",
        classes=("cat", "dog"),
        arch="ds_cnn",
        alpha=1.0,
        preprocessing=Preprocessing(height=32, width=32),
        normalization=same_for_all(1 / 127.5, -1.0),
        weights="none",
        params=1,
        macs=1,
        recipe={},
        data=None,
        phases=(),
        history=(),
        scores=(),
        seconds=1.0,
        peak_rss_mb=1.0,
        model_sha256="",
        versions={},
    )
    return dataclasses.replace(base, **changes)


def save(path: Path) -> None:
    path.write_bytes(b"weights")


@pytest.fixture
def written(tmp_path: Path) -> Checkpoint:
    return checkpoint.write(tmp_path / "run", card(), save_model=save)


def test_what_is_written_is_read(written: Checkpoint) -> None:
    assert checkpoint.read(written.path) == written
    assert written.model_path.read_bytes() == b"weights"


@pytest.mark.parametrize("name", ["café", "猫", b"caf\xe9".decode("utf-8", "surrogateescape")])
def test_classes_may_have_any_name(tmp_path: Path, name: str) -> None:
    made = checkpoint.write(tmp_path / "run", card(classes=("cat", name)), save_model=save)
    assert checkpoint.read(made.path).card.classes == ("cat", name)


@pytest.mark.parametrize("key", ["classes", "params", "digest", "schema", "new"])
def test_an_edited_card_is_refused(written: Checkpoint, key: str) -> None:
    path = written.path / "card.json"
    data = json.loads(path.read_text())
    data[key] = ["cat", "cow"]
    path.write_text(json.dumps(data))
    with pytest.raises(InputError, match="edited or cut short"):
        checkpoint.read(written.path)


def test_a_card_that_was_only_laid_out_anew_is_read(written: Checkpoint) -> None:
    path = written.path / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text()), indent=8))
    assert checkpoint.read(written.path) == written


def test_another_model_than_the_cards_is_refused(written: Checkpoint) -> None:
    written.model_path.write_bytes(b"others")
    with pytest.raises(InputError, match="not the one its card describes"):
        checkpoint.read(written.path)


@pytest.mark.parametrize("name", ["card.json", "model.keras"])
def test_a_missing_part_is_named(written: Checkpoint, name: str) -> None:
    (written.path / name).unlink()
    with pytest.raises(InputError, match=f"no {name}"):
        checkpoint.read(written.path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"null", b"{}"])
def test_a_card_that_is_none_is_one_line(written: Checkpoint, content: bytes) -> None:
    (written.path / "card.json").write_bytes(content)
    with pytest.raises(InputError, match=r"card\.json"):
        checkpoint.read(written.path)


@pytest.mark.parametrize("name", ["missing", "file"])
def test_what_is_no_folder_is_no_checkpoint(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="no such checkpoint"):
        checkpoint.read(tmp_path / name)


def test_an_earlier_checkpoint_is_kept_until_the_new_one_is_whole(written: Checkpoint) -> None:
    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        checkpoint.write(written.path, card(), save_model=fail, replace=True)
    assert checkpoint.read(written.path) == written
    with pytest.raises(InputError, match="already a result"):
        checkpoint.write(written.path, card(), save_model=save)


@pytest.mark.parametrize("classes", [(), ("cat",), ("cat", "cat")])
def test_a_classifier_has_two_distinct_classes(classes: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="classes"):
        card(classes=classes)


def test_scores_are_found_by_their_part() -> None:
    assert card().scores_on("test") is None


def test_a_card_of_the_first_schema_still_loads() -> None:
    new = schema.encode(card())
    old = {k: v for k, v in new.items() if k != "padding"}
    old |= {"schema": "edgecnn/checkpoint/1", "normalization": [1 / 127.5, -1.0]}
    text = json.dumps(old, sort_keys=True, separators=(",", ":"))
    old["digest"] = hashlib.sha256(text.encode()).hexdigest()
    assert checkpoint.parse_card(old, where=Path("card.json")) == card()
