"""The files that a search chooses among: exported once, kept with their hashes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import get_args

from edgecnn.core import checkpoint as checkpoints
from edgecnn.core import files, schema
from edgecnn.core.artifact import Format, Scheme, file_name
from edgecnn.core.checkpoint import Checkpoint
from edgecnn.core.errors import InputError, unknown
from edgecnn.flows.needs import needs
from edgecnn.flows.tuning_notes import note, noted

SCHEMES: tuple[Scheme, ...] = ("float32", "float16", "dynamic", "int8")
"""Tried unless others are asked for: what changes size, speed or answers on some board."""

_REFERENCE: Scheme = "float32"
_ROWS_FILE = "export.json"
_WANTED_FILE = "calibration.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which files to make.

    Attributes:
        schemes: Of each checkpoint; float32, to which files are compared, is always made.
        formats: Of each scheme that has them.
        calibration: DATA for integer files; the training photos when None.
    """

    schemes: tuple[Scheme, ...] = SCHEMES
    formats: tuple[Format, ...] = ("tflite", "onnx")
    calibration: str | None = None

    @property
    def all_schemes(self) -> tuple[Scheme, ...]:
        """Those asked for and the reference, which comes first."""
        return tuple(dict.fromkeys((_REFERENCE, *self.schemes)))


def check_schemes(names: Iterable[str]) -> tuple[Scheme, ...]:
    """Return schemes of those names.

    Raises:
        InputError: a name that is none.
    """
    known = [name for name in get_args(Scheme) if name != "mixed"]
    asked = list(names)
    for name in asked:
        if name not in known:
            raise unknown("scheme", name, known, where="--schemes")
    return tuple(name for name in get_args(Scheme) if name in asked)


def read_checkpoints(paths: Sequence[Path]) -> list[Checkpoint]:
    """Open what is to be tried, different names for all.

    Raises:
        InputError: no checkpoint, or two of one name, whose files could not be told apart.
    """
    found: dict[str, Checkpoint] = {}
    for path in dict.fromkeys(paths):
        one = checkpoints.read(path)
        if found.setdefault(one.card.name, one) is not one:
            raise InputError(
                f"the same name ({one.card.name}) as {found[one.card.name].path}",
                where=path,
                fix="train it into a folder of another name",
            )
    return list(found.values())


def exported(one: Checkpoint, out: Path, wanted: Wanted, *, force: bool) -> list[Path]:
    """Write the files of a checkpoint that are not there yet.

    Args:
        one: The checkpoint.
        out: Their folder.
        wanted: Which.
        force: Make them all anew.

    Returns:
        All of them, the float32 ones first.

    Raises:
        InputError: unusable calibration photos, or an export's own error.
        MissingExtra: there is something to export, and TensorFlow is not installed.
    """
    asked = {"schema": "edgecnn/tuning-calibration/1", "calibration": wanted.calibration}
    if force or not noted(out / _WANTED_FILE, asked):
        _forget(out)
        note(out / _WANTED_FILE, asked)
    kept = _kept(out, one)
    missing: dict[tuple[Format, ...], list[Scheme]] = {}
    for scheme in wanted.all_schemes:
        formats = tuple(f for f in wanted.formats if not kept & set(_names(one, scheme, f)))
        missing.setdefault(formats, []).append(scheme)
    for formats, schemes in missing.items():
        if formats:
            _export(one, out, formats, schemes, wanted.calibration)
    there = _kept(out, one)
    names = (n for s in wanted.all_schemes for f in wanted.formats for n in _names(one, s, f))
    return [out / name for name in names if name in there]


def _export(
    one: Checkpoint,
    out: Path,
    formats: tuple[Format, ...],
    schemes: Sequence[Scheme],
    calibration: str | None,
) -> None:
    """Export what these formats have of these schemes."""
    with needs("tune", "all"):
        from edgecnn.export import Options, export
        from edgecnn.quantize import SCHEMES as KNOWN
    some = tuple(s for s in schemes if set(formats) & set(KNOWN[s].formats))
    if some:
        # An int8 file whose network has operations without int8 kernels is called mixed.
        options = Options(
            formats=formats, schemes=some, calibration=calibration, mixed=True, force=True
        )
        export(one, out, options)


def _names(one: Checkpoint, scheme: Scheme, suffix: Format) -> tuple[str, ...]:
    """Return what a file may be called."""
    schemes: tuple[Scheme, ...] = ("int8", "mixed") if scheme == "int8" else (scheme,)
    return tuple(file_name(one.card.name, name, suffix) for name in schemes)


def _forget(out: Path) -> None:
    """Let what other photos calibrated no longer count."""
    with files.writing(out):
        (out / _ROWS_FILE).unlink(missing_ok=True)


def _kept(out: Path, one: Checkpoint) -> set[str]:
    """Return the files of earlier runs that still hold what this checkpoint's export wrote."""
    path = out / _ROWS_FILE
    if not path.is_file():
        return set()
    content = schema.parse(
        files.read_bytes(path, limit=schema.JSON_LIMIT_BYTES, kind="file"), where=path
    )
    if not isinstance(content, dict) or content.get("source_sha256") != one.card.model_sha256:
        return set()
    rows = content.get("artifacts")
    known = {
        out / Path(str(row.get("path"))).name: row.get("sha256")
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict)
    }
    return {p.name for p, sha in known.items() if p.is_file() and files.sha256(p) == sha}
