"""All that lies in some folders and can stand in a report."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from edgecnn.core import checkpoint, files, schema
from edgecnn.core.artifact import Calibration, Format, Io, Scheme
from edgecnn.core.checkpoint import Card
from edgecnn.core.errors import InputError
from edgecnn.core.measurement import Measurement
from edgecnn.core.noise import Noise
from edgecnn.core.parity import Parity

# A page of more files than this is no page; it is a folder chosen by mistake.
_MAX_FILES = 20_000
# Under these names nothing but ours is expected, so what can't be read is damage.
_OUR_NAMES = frozenset({checkpoint.CARD_FILE, "export.json", "parity.json"})
# Ours, and read by others.
_NOT_SHOWN = frozenset(
    {
        *("quantization-plan", "ladder", "layers-against"),
        *("tuning", "tuning-calibration", "tuning-photos", "bundle"),
    }
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ArtifactRow:
    """One written file, as ``export.json`` has it; see `core.artifact.Artifact.to_row`."""

    path: str
    format: Format
    scheme: Scheme
    io: Io
    bytes: int
    sha256: str
    seconds: float
    top1: float | None
    float_top1: float | None
    agreement_pct: float | None
    calibration: Calibration | None
    warnings: tuple[str, ...]
    n: int | None = None
    split: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Export:
    """The content of ``export.json``."""

    SCHEMA: ClassVar[str] = "edgecnn/export/1"

    source_sha256: str | None = None
    artifacts: tuple[ArtifactRow, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What ``evaluate --json`` says of one model; its classes are nobody's business here."""

    SCHEMA: ClassVar[str] = "edgecnn/evaluation/1"

    model: str
    sha256: str
    split: str
    n: int
    top1: float

    def __post_init__(self) -> None:
        if self.n < 1 or not 0 <= self.top1 <= 1:
            raise ValueError(f"top-1 {self.top1} of {self.n} photos")

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Evaluation:
        """Rebuild from what ``evaluate --json`` printed."""
        names = [field.name for field in dataclasses.fields(cls)]
        return schema.decode_fields(cls, {name: data[name] for name in names if name in data})


@dataclasses.dataclass(frozen=True, kw_only=True)
class DoctorFinding:
    """One thing that ``doctor`` looked at; the fix is empty where there's nothing to do."""

    check: str
    level: Literal["ok", "note", "warning", "error"]
    what: str
    fix: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Examined:
    """What ``doctor`` found on one target."""

    target: str
    usable: bool
    findings: tuple[DoctorFinding, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Examinations:
    """What ``doctor --json`` prints."""

    SCHEMA: ClassVar[str] = "edgecnn/doctor/1"

    targets: tuple[Examined, ...]


_ARTEFACTS: dict[str, type[Any]] = {
    "parity": Parity,
    "measurement": Measurement,
    "layers": Noise,
    "evaluation": Evaluation,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Collected:
    """What a report is made of.

    Attributes:
        cards: Of the checkpoints.
        artifacts: Written files.
        parities: Files against their checkpoint.
        measurements: Rows of the benchmark.
        noises: What integers do to each layer, one a quantized file.
        evaluations: Scores of single models; alone they are no report.
        examined: What ``doctor`` found on targets; likewise.
        notes: What was passed over, and why.
    """

    cards: tuple[Card, ...] = ()
    artifacts: tuple[ArtifactRow, ...] = ()
    parities: tuple[Parity, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    noises: tuple[Noise, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    examined: tuple[Examined, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """True when there is nothing to show."""
        rows = (self.cards, self.artifacts, self.parities, self.measurements, self.noises)
        return not any(rows)


def collect(paths: Iterable[Path]) -> Collected:
    """Gather cards, exports, parities and measurements from folders and JSON files.

    Folders are searched with their sub-folders; hidden ones (unfinished work) are not.
    JSON of another origin is passed over with a note.

    Raises:
        InputError: no such path, a JSON of ours that is damaged, or nothing to show.
    """
    paths = list(paths)
    collected = gather(paths)
    if collected.empty:
        raise InputError(
            "nothing to report",
            where=", ".join(map(str, paths)),
            fix="give the folders that train, export, verify --out or bench --out wrote",
        )
    return collected


def gather(paths: Sequence[Path]) -> Collected:
    """Do as `collect`, where nothing at all may be found.

    Raises:
        InputError: no such path, or a JSON of ours that is damaged.
    """
    found: dict[str, list[Any]] = {}
    notes = []
    for path in _json_files(paths):
        content = _read(path)
        kind = _kind(content) or ""
        rows = _rows(kind, content, path)
        if rows is not None:
            found.setdefault(kind, []).extend(rows)
        elif path.name in _OUR_NAMES:
            raise InputError("a damaged file", where=path, fix="make the file again")
        else:
            notes.append(f"{path} is not one of our JSON files and was passed over")
    return Collected(
        cards=_distinct(found.get("checkpoint", [])),
        artifacts=_distinct(found.get("export", [])),
        parities=_distinct(found.get("parity", [])),
        measurements=_distinct(found.get("measurement", [])),
        noises=_distinct(found.get("layers", [])),
        evaluations=_distinct(found.get("evaluation", [])),
        examined=_distinct(found.get("doctor", [])),
        notes=tuple(notes),
    )


def _json_files(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield each JSON file once, in a stable order."""
    seen: set[Path] = set()
    for path in paths:
        if not path.exists():
            raise InputError("no such file or folder", where=path, fix="check the path")
        for file in _inside(path) if path.is_dir() else [path]:
            if file.resolve() in seen:
                continue
            seen.add(file.resolve())
            if len(seen) > _MAX_FILES:
                raise InputError(
                    f"more than {_MAX_FILES:,} JSON files", where=path, fix="name a smaller folder"
                )
            yield file


def _inside(folder: Path) -> list[Path]:
    names = sorted(folder.rglob("*.json"))
    return [
        name
        for name in names
        if name.is_file() and not any(p.startswith(".") for p in name.relative_to(folder).parts)
    ]


def _read(path: Path) -> Any:
    """Return a file's JSON; None for what doesn't name our schema, which is not even parsed."""
    if path.suffix != ".json" or path.stat().st_size > schema.JSON_LIMIT_BYTES:
        return None
    content = files.read_bytes(path, limit=schema.JSON_LIMIT_BYTES, kind="file")
    return schema.parse(content, where=path) if b'"edgecnn/' in content else None


def _kind(content: Any) -> str | None:
    """Return the kind in "edgecnn/<kind>/<n>", or None for something else."""
    name = content.get("schema") if isinstance(content, dict) else None
    parts = name.split("/") if isinstance(name, str) else []
    return parts[1] if len(parts) == 3 and parts[0] == "edgecnn" else None


def _rows(kind: str, content: Any, path: Path) -> list[Any] | None:
    """Return what a file has for the report; None where it is none of ours."""
    match kind:
        case "checkpoint":
            return [checkpoint.parse_card(content, where=path)]
        case "export":
            return [*_export(content, path).artifacts]
        case "doctor":
            return [*schema.decode(Examinations, content, where=path).targets]
        case _ if kind in _ARTEFACTS:
            return [schema.decode(_ARTEFACTS[kind], content, where=path)]
    return [] if kind in _NOT_SHOWN else None


def _export(content: dict[str, Any], path: Path) -> Export:
    """Decode an export; keys that a row has beyond ours are nobody's business here."""
    names = {field.name for field in dataclasses.fields(ArtifactRow)}
    rows = content.get("artifacts")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError("a bad Export (no artifacts)", where=path, fix="make the file again")
    known = [{key: value for key, value in row.items() if key in names} for row in rows]
    return schema.decode(Export, {**content, "artifacts": known}, where=path)


def _distinct(items: list[Any]) -> tuple[Any, ...]:
    """Drop copies of the same thing, such as a results folder that was copied and named too."""
    kept: list[Any] = []
    seen: set[str] = set()
    for item in items:
        key = schema.dumps(item)
        if key not in seen:
            seen.add(key)
            kept.append(item)
    return tuple(kept)
