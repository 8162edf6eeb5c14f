"""A folder with all that a board needs to run one file, and the same as one archive."""

from __future__ import annotations

import dataclasses
import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

from edgecnn.bench import memory, worker
from edgecnn.core import files
from edgecnn.core.artifact import Format
from edgecnn.core.errors import InputError
from edgecnn.runtime import metadata as inside
from edgecnn.runtime.isolated import IsolatedModel
from edgecnn.targets import board_model, on_board, requirements
from edgecnn.targets.board import Board
from edgecnn.targets.inline import single_file

_TEMPLATES = Path(__file__).parent / "board_files"
_EXECUTABLE = frozenset({"run.py", "install.sh", "camera.py"})
_NOTE_32 = """
On 32 bits numpy and pillow come from Debian: `sudo apt install python3-numpy python3-pil`.
The runtime, tflite-runtime 2.14, needs Python 3.9 to 3.11 and numpy 1: Debian 12, not 13.
"""


@dataclasses.dataclass(frozen=True)
class Bundle:
    """What was written.

    Attributes:
        folder: The bundle.
        archive: The same as tar.gz, beside it.
        device: For whom.
        runtimes: To try there, best first.
        wheels: Names of the wheels inside, none unless asked for.
    """

    folder: Path
    archive: Path
    device: Board
    runtimes: tuple[str, ...]
    wheels: tuple[str, ...]


def write(
    path: Path,
    device: Board,
    out: Path,
    *,
    labels: Path | None = None,
    wheels_for: str | None = None,
    force: bool = False,
) -> Bundle:
    """Write the bundle of a file; the folder and the archive appear when they are complete.

    Args:
        path: A ``.tflite``, ``.onnx`` or ``.ort`` file.
        device: See `edgecnn.targets.board.find`.
        out: The folder; the archive is beside it, with ``.tar.gz`` at its end.
        labels: Names of the classes, one a line, for a foreign file.
        wheels_for: Put wheels for this version of Python in, too.
        force: Replace an earlier bundle.

    Raises:
        InputError: a file that its runtime refuses, a format that the board can't run, or
            something in the way.
        MissingExtra: the runtime is not installed here.
    """
    if out.name in ("", ".."):
        raise InputError("no name of a folder", where=f"--out {out}", fix="name a new folder")
    archive = out.with_name(out.name + ".tar.gz")
    _refuse_foreign(out, archive, force=force)
    about = describe(path, device, labels=labels)
    lines = requirements.requirements(about["format"], device)
    with files.new_folder(out, replace=force) as folder:
        (folder / about["file"]).write_bytes(path.read_bytes())
        wheels: list[Path] = []
        if wheels_for is not None:
            wheels = requirements.download(lines, device, folder / "wheels", python=wheels_for)
        for name, text in _texts(about, device, lines, offline=bool(wheels)).items():
            (folder / name).write_text(text, encoding="utf-8")
        for name in _EXECUTABLE:
            (folder / name).chmod(0o755)
    files.write_bytes(archive, pack(out))
    names = tuple(wheel.name for wheel in wheels)
    return Bundle(out, archive, device, tuple(about["runtimes"]), names)


def _refuse_foreign(out: Path, archive: Path, *, force: bool) -> None:
    """Refuse to replace unasked, and to replace what is no bundle even then."""
    for there in (out, archive):
        files.refuse_existing(there, force=force)
    if out.exists() and not (out / "model.json").is_file():
        raise InputError("something that is no bundle", where=out, fix="choose another --out")


def describe(path: Path, device: Board, *, labels: Path | None = None) -> dict[str, Any]:
    """Return what the runner must know about the file; ``model.json`` holds it.

    The file is opened once in its runtime, in a child process: what doesn't run here is not
    sent to a board.
    """
    with inside.mapped(path) as data:
        kind: Format = inside.format_of(data, where=path)
    requirements.requirements(kind, device)  # before the work, not after
    with IsolatedModel(path, labels=labels) as model:
        told = model.metadata
        how, source, result, classes = model.preprocessing, model.input, model.output, model.classes
    return {
        "schema": board_model.BUNDLE_SCHEMA,
        "file": f"{path.stem}.{kind}",  # never the name of a script beside it
        "sha256": files.sha256(path),
        "bytes": path.stat().st_size,
        "format": kind,
        "scheme": "unknown" if told is None else told.scheme,
        "device": device.name,
        "runtimes": list(requirements.runtimes(kind, device)),
        "arena_mb": memory.arena_mb(path, kind),
        "preprocessing": dataclasses.asdict(how),
        "input": dataclasses.asdict(source),
        "output": dataclasses.asdict(result),
        "classes": list(classes),
    }


def runner() -> str:
    """Return the text of ``run.py``: our own modules as one file, with the worker inside."""
    text, work = single_file(on_board.__name__), single_file(worker.__name__)
    before, mark, after = text.partition('\nWORKER = ""\n')
    if not mark or "'''" in work:
        raise ValueError("no place for the worker in the runner")
    return f"{before}\nWORKER = r'''{work}'''\n{after}"


def pack(folder: Path) -> bytes:
    """Return a folder as tar.gz: equal content gives equal bytes, whenever and by whomever."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            entry = tarfile.TarInfo(f"{folder.name}/{path.relative_to(folder).as_posix()}")
            entry.size = path.stat().st_size
            entry.mode = 0o755 if path.name in _EXECUTABLE else 0o644
            with path.open("rb") as file:
                archive.addfile(entry, file)
    return gzip.compress(packed.getvalue(), mtime=0)


def _texts(
    about: dict[str, Any], device: Board, lines: tuple[str, ...], *, offline: bool
) -> dict[str, str]:
    """Return the bundle's text files by name."""
    how = about["preprocessing"]
    name = Path(about["file"]).stem
    words = {
        "NAME": "".join(c if c.isalnum() or c in "-_" else "-" for c in name),
        "TITLE": device.title,
        "FILE": about["file"],
        "SIZE": f"{about['bytes'] / 1e6:.2f}",
        "SCHEME": "" if about["scheme"] == "unknown" else f", {about['scheme']}",
        "FRAME": f"{how['width']}x{how['height']}",
        "ANSWER": f"{len(about['classes'])} classes" if about["classes"] else "raw outputs",
        "OFFLINE": ", from wheels/" if offline else "",
        "MACHINE": device.machine,
        "THREADS": str(device.cores or 1),
        "NOTE": _NOTE_32 if device.machine == "armv7l" else "",
    }
    return {
        "run.py": runner(),
        "model.json": json.dumps(about, indent=1, ensure_ascii=False) + "\n",
        "requirements.txt": "\n".join(lines) + "\n",
        "install.sh": _filled("install.sh", words),
        "camera.py": _filled("camera.py.in", words),
        "edgecnn.service": _filled("edgecnn.service", words),
        "README.md": _filled("README.md", words),
    }


def _filled(template: str, words: dict[str, str]) -> str:
    text = (_TEMPLATES / template).read_text(encoding="utf-8")
    for word, value in words.items():
        text = text.replace(f"@{word}@", value)
    return text.rstrip() + "\n"
