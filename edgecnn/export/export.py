"""Export: checkpoint in, checked and measured files out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgecnn import zoo
from edgecnn.core import files, progress, schema
from edgecnn.core.artifact import Artifact, Scheme, file_name
from edgecnn.core.checkpoint import Card, Checkpoint
from edgecnn.core.errors import InputError
from edgecnn.core.runner import Runner
from edgecnn.export.exporter import Exporter
from edgecnn.export.options import Options
from edgecnn.export.photo_count import settle
from edgecnn.export.photos import Photos, choose_photos
from edgecnn.export.writers import Writers
from edgecnn.quantize.schemes import takes_photos

EXPORT_SCHEMA = "edgecnn/export/1"
ROWS_FILE = "export.json"


def export(checkpoint: Checkpoint, out: Path, options: Options) -> list[Artifact]:
    """Write one file a format and scheme, each parsed again and measured.

    Rows of earlier exports to the same folder are kept in its ``export.json``.

    Raises:
        InputError: a file of the same name exists (without force), the folder belongs to
            another checkpoint, or int8 has no calibration photos.
        CheckFailed: a written file is not what its name says; it is not kept.
    """
    rows = _earlier_rows(out, checkpoint.card, options)
    return _write_all(_exporter(checkpoint, out, options), rows)


def export_network(
    card: Card,
    out: Path,
    options: Options,
    *,
    photos: Photos,
    writers: Writers,
    runner: Runner,
) -> list[Artifact]:
    """Write the files of a network that has no checkpoint; see `export`.

    Args:
        card: What is to be said of it in the files.
        out: Their folder.
        options: What to write.
        photos: What sets ranges, and what judges.
        writers: Make the files' bytes.
        runner: Answers as the files should.
    """
    rows = _earlier_rows(out, card, options)
    photos, writers = _counted(options, photos, writers, runner)
    return _write_all(Exporter(card, out, options, photos, writers, runner), rows)


def _write_all(exporter: Exporter, rows: dict[str, dict[str, Any]]) -> list[Artifact]:
    out, options = exporter.out, exporter.options
    artifacts = []
    if options.max_drop is not None and any(scheme == "int8" for _, scheme in options.files):
        exporter.climb(options.max_drop)
    elif options.qat and any(scheme == "int8" for _, scheme in options.files):
        exporter.train(options.qat)
    with progress.bar("exporting", total=len(options.files)) as advance:
        for suffix, scheme in options.files:
            artifact = exporter.write(suffix, scheme)
            artifacts.append(artifact)
            rows[artifact.path.name] = artifact.to_row()
            _write_rows(out, exporter.card, rows)
            advance(note=f"{suffix} {scheme}")
    if any(scheme == "int8" for _, scheme in options.files):
        files.write_text(out / plan_name(exporter.card.name), exporter.writers.plan.to_json())
        if options.look is not None:
            options.look(exporter.decided(artifacts))
    return artifacts


def plan_name(name: str) -> str:
    """Return the name of the file that tells what int8 files decided."""
    return f"{name}-int8.plan.json"


def _exporter(checkpoint: Checkpoint, out: Path, options: Options) -> Exporter:
    card = checkpoint.card
    needs_ranges = any(takes_photos(scheme, options.rounding) for _, scheme in options.files)
    photos = choose_photos(
        card,
        source=options.calibration,
        wanted=options.wanted if needs_ranges else None,
    )
    writers = Writers(
        zoo.restore(checkpoint),
        card.normalization,
        photos.pixels,
        rounding=options.rounding,
        ranges=options.ranges,
        onnx_form=options.onnx_form,
        per_tensor=options.per_tensor,
        equalize=options.equalizes,
    )
    runner = zoo.CheckpointRunner(checkpoint) if photos.judging else None
    photos, writers = _counted(options, photos, writers, runner)
    return Exporter(card, out, options, photos, writers, runner)


def _counted(
    options: Options, photos: Photos, writers: Writers, runner: Runner | None
) -> tuple[Photos, Writers]:
    """Return the photos to calibrate with after trying counts, where that is asked for."""
    if not (photos.aside and runner):
        return photos, writers
    wanted = None if options.calibration_count == "auto" else options.calibration_count
    return settle(writers, photos, runner, wanted=wanted)


def _earlier_rows(out: Path, card: Card, options: Options) -> dict[str, dict[str, Any]]:
    """Return the rows to keep, after making sure that nothing is overwritten unasked, or lost."""
    files.refuse_unwritable(out)
    path = out / ROWS_FILE
    rows: dict[str, dict[str, Any]] = {}
    if path.is_file():
        content = schema.parse(
            files.read_bytes(path, limit=schema.JSON_LIMIT_BYTES, kind="file"), where=path
        )
        if not isinstance(content, dict) or content.get("schema") != EXPORT_SCHEMA:
            raise InputError("a file of another kind", where=path, fix="choose another --out")
        if content.get("source_sha256") != card.model_sha256 and not options.force:
            raise InputError(
                "files of another checkpoint", where=out, fix="choose another --out or add --force"
            )
        if content.get("source_sha256") == card.model_sha256:
            rows = {Path(row["path"]).name: row for row in content["artifacts"]}
    for suffix, scheme in options.files:
        names: list[Scheme] = ["int8", "mixed"] if scheme == "int8" else [scheme]
        for name in names:
            files.refuse_existing(out / file_name(card.name, name, suffix), force=options.force)
    return {name: row for name, row in rows.items() if (out / name).is_file()}


def _write_rows(out: Path, card: Card, rows: dict[str, dict[str, Any]]) -> None:
    content = {
        "schema": EXPORT_SCHEMA,
        "source_sha256": card.model_sha256,
        "artifacts": [rows[name] for name in sorted(rows)],
    }
    files.write_text(out / ROWS_FILE, json.dumps(content, indent=1) + "\n")
