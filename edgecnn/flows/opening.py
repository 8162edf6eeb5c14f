"""Open whatever answers photos: a checkpoint's folder, or a file in a child process."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgecnn.core import checkpoint as checkpoints
from edgecnn.core import files
from edgecnn.core.artifact import MODEL_SUFFIXES
from edgecnn.core.checkpoint import Card, DataManifest
from edgecnn.core.errors import InputError
from edgecnn.core.runner import Runner
from edgecnn.flows.needs import needs


@dataclasses.dataclass(frozen=True)
class Opened:
    """A model that is ready to answer.

    Attributes:
        path: The checkpoint's folder or the file.
        sha256: Of the file, or of the checkpoint's ``model.keras``.
        runner: Answers photos.
        data: Which photos it was trained on; none when nobody knows.
        card: The checkpoint's; none for a file.
    """

    path: Path
    sha256: str
    runner: Runner
    data: DataManifest | None
    card: Card | None = None


@contextlib.contextmanager
def open_model(
    path: Path, *, runtime: str | None = None, threads: int = 1, labels: Path | None = None
) -> Iterator[Opened]:
    """Open a model for the time of the block; native code runs in a child process.

    Args:
        path: A checkpoint's folder, or a ``.tflite`` or ``.onnx`` file.
        runtime: For a file: the runtime's name; its format's default when None.
        threads: For a file: CPU threads of one inference.
        labels: For a file: names of the classes, one a line.

    Raises:
        InputError: no such model, a damaged one, or one of another kind.
        MissingExtra: what it needs is not installed.
    """
    if path.is_dir() or path.name in (checkpoints.CARD_FILE, checkpoints.MODEL_FILE):
        yield open_checkpoint(path if path.is_dir() else path.parent)
        return
    from edgecnn.runtime.isolated import IsolatedModel

    with IsolatedModel(path, runtime=runtime, threads=threads, labels=labels) as model:
        data = model.metadata.data if model.metadata else None
        yield Opened(path, files.sha256(path), model, data)


def open_checkpoint(path: Path) -> Opened:
    """Open a checkpoint with TensorFlow, in this process.

    Raises:
        InputError: no checkpoint, or a damaged one.
        MissingExtra: TensorFlow is not installed.
    """
    found = checkpoints.read(path)
    with needs("opening a checkpoint", "train"):
        from edgecnn import zoo
    card = found.card
    return Opened(path, card.model_sha256, zoo.CheckpointRunner(found), card.data, card)


def model_files(paths: Sequence[Path]) -> list[Path]:
    """Return the model files among paths: a folder stands for those in it, each file once.

    A shell's ``out/*`` also names the ``export.json`` that lies beside the files: JSON is
    passed over.

    Raises:
        InputError: nothing is left, or a folder has none.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix in MODEL_SUFFIXES)
            if not inside:
                raise InputError(
                    "no .tflite, .onnx, .ort file", where=path, fix="export some first"
                )
            found.update(dict.fromkeys(inside))
        elif path.suffix != ".json":
            found[path] = None
    if not found:
        raise InputError("no model file", where="the command line", fix="name some")
    return list(found)
