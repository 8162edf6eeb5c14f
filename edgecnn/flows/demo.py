"""The whole line in one go: scikit-learn's digits to a verified, measured int8 file."""

from __future__ import annotations

import dataclasses
import shlex
import shutil
import time
from pathlib import Path
from typing import Any

from edgecnn import targets
from edgecnn.core import checkpoint as checkpoints
from edgecnn.core import files, schema
from edgecnn.core.artifact import Artifact
from edgecnn.core.checkpoint import Checkpoint
from edgecnn.core.errors import InputError
from edgecnn.core.measurement import Accuracy
from edgecnn.core.parity import Parity
from edgecnn.core.progress import say
from edgecnn.flows.judging import Limits, Photos, verify
from edgecnn.flows.needs import needs
from edgecnn.flows.reporting import write_report
from edgecnn.report import Collected

SOURCE = "digits"
# Digits are 8 x 8 pixels: 64 shows all there is, at a sixth of the usual cost.
OPTIONS: dict[str, Any] = {
    "arch": "efficientnet_lite0",
    "size": 64,
    "head_epochs": 8,
    "tune_epochs": 6,
    "views": 3,
    "augment": "light",
}

_MARK = "demo.json"
_SCHEMA = "edgecnn/demo/1"


@dataclasses.dataclass(frozen=True)
class Demo:
    """What a demo left behind.

    Attributes:
        trained: The checkpoint.
        artifacts: The files.
        found: All that is on the page: card, files, parity, measurements.
        report: The page.
        seconds: From start to end.
    """

    trained: Checkpoint
    artifacts: tuple[Artifact, ...]
    found: Collected
    report: Path
    seconds: float


def run_demo(out: Path, *, force: bool = False, options: dict[str, Any] | None = None) -> Demo:
    """Train, export, verify, measure and report into one folder.

    Args:
        out: Replaced when it is an earlier demo's; any other folder is refused.
        force: Replace that one too.
        options: Fields of the training recipe, in place of `OPTIONS`.

    Raises:
        InputError: the folder belongs to something else, or can't be written.
        MissingExtra: TensorFlow, a runtime or the weights' package is not installed.
    """
    started = time.perf_counter()
    _claim(out, force=force)
    options = OPTIONS if options is None else options
    say(f"1/5 training {options['arch']} on {SOURCE}")
    trained = _train(out / SOURCE, options)
    say("2/5 exporting float32 and int8")
    artifacts = _export(trained, out / "files")
    paths = [artifact.path for artifact in artifacts]
    say("3/5 comparing the files with the checkpoint")
    parity = verify(
        paths, Photos(source=SOURCE), against=trained.path, limits=Limits(), out=out / "verify"
    )
    say("4/5 measuring latency and memory")
    targets.run_matrix(paths, accuracies=_accuracies(parity), out=out / "results")
    say("5/5 writing the report")
    page = out / "report.html"
    found = write_report(
        [trained.path, *(out / name for name in ("files", "verify", "results"))],
        page,
        commands=_commands(out, options),
    )
    seconds = time.perf_counter() - started
    return Demo(trained, tuple(artifacts), found, page, seconds)


def _claim(out: Path, *, force: bool) -> None:
    """Empty the folder and put the demo's mark into it, if it may be emptied."""
    if out.exists() and not out.is_dir():
        raise InputError("a file where a folder is to be", where=out, fix="choose another --out")
    if out.is_dir() and any(out.iterdir()) and not (out / _MARK).is_file() and not force:
        raise InputError(
            "a folder that is no earlier demo", where=out, fix="choose another --out or add --force"
        )
    with files.writing(out):
        if out.is_symlink():
            for entry in out.iterdir():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        elif out.exists():
            shutil.rmtree(out)
    files.write_text(out / _MARK, schema.dumps({"schema": _SCHEMA}))


def _train(path: Path, options: dict[str, Any]) -> Checkpoint:
    with needs("the demo", "all"):
        from edgecnn import training
    training.train(SOURCE, path, training.make_recipe(**options))
    return checkpoints.read(path)


def _export(trained: Checkpoint, out: Path) -> list[Artifact]:
    with needs("the demo", "all"):
        from edgecnn.export import Options, export
    return export(trained, out, Options(formats=("tflite", "onnx"), schemes=("float32", "int8")))


def _accuracies(parity: Parity) -> dict[Path, Accuracy]:
    """Return what `verify` saw of each file, so that no photo is answered twice."""
    return {
        Path(row.path): Accuracy(data=parity.data, n=row.n, top1=row.top1)
        for row in parity.rows
        if row.top1 is not None
    }


def _commands(out: Path, options: dict[str, Any]) -> list[str]:
    """Return the same work as command lines."""
    flags = " ".join(f"--{key.replace('_', '-')} {value}" for key, value in options.items())
    at = {name: shlex.quote(str(out / name)) for name in (SOURCE, "files", "verify", "results")}
    run, made = at[SOURCE], at["files"]
    return [
        f"edgecnn train {SOURCE} {flags} --out {run}",
        f"edgecnn export {run} --float32 --int8 --format tflite,onnx --out {made}",
        f"edgecnn verify {made} --against {run} --data {SOURCE} --out {at['verify']}",
        f"edgecnn bench {made} --out {at['results']}",
        f"edgecnn report {run} {made} {at['verify']} {at['results']} --out report.html",
    ]
