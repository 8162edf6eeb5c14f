"""What each file of a search answers: judged once a file, on the same photos for all."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgecnn import data
from edgecnn.core import files, schema
from edgecnn.core.checkpoint import Checkpoint
from edgecnn.core.errors import InputError
from edgecnn.core.measurement import Accuracy
from edgecnn.core.parity import Parity, ParityRow
from edgecnn.flows.judging import PARITY_FILE, Limits, Photos, verify
from edgecnn.flows.tuning_notes import note, noted

_PHOTOS_FILE = "photos.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judged:
    """One file that may be chosen, and what it answers.

    Attributes:
        checkpoint: What it was made of.
        scheme: As its name has it.
        failed: Checks of its answers that don't hold.
    """

    path: Path
    sha256: str
    checkpoint: Checkpoint
    scheme: str
    accuracy: Accuracy
    failed: tuple[str, ...]


def same_photos(found: Sequence[Checkpoint], source: str | None) -> Photos:
    """Return the photos that all checkpoints' files are judged on.

    Args:
        found: The checkpoints.
        source: DATA of the user; None: the validation photos of their training.

    Raises:
        InputError: without DATA, checkpoints that know no photos, or not the same ones.
    """
    if source is not None:
        return Photos(source=source)
    first = found[0]
    for one in found:
        if one.card.data is None:
            raise InputError(
                "a checkpoint without photos of its own", where=one.path, fix="add --data DATA"
            )
        if _parts(one) != _parts(first):
            raise InputError(
                f"other validation photos than {first.path} has",
                where=one.path,
                fix="add --data DATA, or train both on the same photos, --split and --seed",
            )
    return Photos(source=first.card.data.source if first.card.data else "", split="val")


def _parts(one: Checkpoint) -> tuple[Any, ...]:
    known = one.card.data
    return (known.fingerprint, known.seed, known.split) if known else ()


def judged(
    one: Checkpoint, paths: Sequence[Path], photos: Photos, out: Path, *, force: bool
) -> list[Judged]:
    """Judge files on photos, each once: what an earlier run said of the same bytes is kept.

    Args:
        one: The checkpoint.
        paths: Its files; the first is the reference.
        photos: What they answer.
        out: Folder of the result, as `verify` leaves it.
        force: Judge them all anew.

    Raises:
        InputError: unusable photos, or photos without labels.
    """
    shas = {path: files.sha256(path) for path in paths}
    asked = _asked(one, photos)
    parity = None if force else _earlier(out, asked, shas)
    if parity is None:
        with files.writing(out):
            (out / _PHOTOS_FILE).unlink(missing_ok=True)
        # The reference stands in for a file compared with itself where it is the only one.
        several = paths if len(paths) > 1 else [*paths, *paths]
        parity = verify(several, photos, against=None, limits=Limits(), out=out, force=True)
        note(out / _PHOTOS_FILE, asked)
    rows = {row.sha256: row for row in parity.rows}
    return [_judged(path, rows[sha], one, photos) for path, sha in shas.items()]


def _asked(one: Checkpoint, photos: Photos) -> dict[str, Any]:
    """Return what the answers depend on beside the files: the photos' contents and part."""
    known = one.card.data
    dataset = data.open_data(photos.source, seed=known.seed if known else 0)
    about = {
        "photos": dataset.manifest.fingerprint,
        "split": photos.split,
        "parts": list(known.split) if known and known.split else None,
        "seed": known.seed if known else None,
    }
    return {"schema": "edgecnn/tuning-photos/1", **about}


def _earlier(out: Path, asked: dict[str, Any], shas: dict[Path, str]) -> Parity | None:
    """Return an earlier result of the same photos that knows all these files."""
    if not (out / PARITY_FILE).is_file() or not noted(out / _PHOTOS_FILE, asked):
        return None
    parity = schema.read(Parity, out / PARITY_FILE)
    return parity if set(shas.values()) <= {row.sha256 for row in parity.rows} else None


def _judged(path: Path, row: ParityRow, one: Checkpoint, photos: Photos) -> Judged:
    if row.top1 is None:
        raise InputError("photos without labels", where=photos.source, fix="label them by folders")
    return Judged(
        path=path,
        sha256=row.sha256,
        checkpoint=one,
        scheme=path.stem.rpartition("-")[2],
        accuracy=Accuracy(data=photos.source, n=row.n, top1=row.top1),
        failed=tuple(check.name for check in row.checks if not check.passed),
    )
