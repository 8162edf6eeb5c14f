"""``edgecnn bundle``: a folder that a board runs without this package."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.cli.outcome import Outcome
from edgecnn.cli.parser import Parser
from edgecnn.core.errors import InputError

if TYPE_CHECKING:
    from edgecnn.targets.bundle import Bundle


def bundle_options(parser: Parser) -> None:
    """Add the arguments of `bundle`."""
    add = parser.add_argument
    add("file", type=Path, metavar="FILE", help="a .tflite, .onnx or .ort file")
    add(
        "--target",
        required=True,
        metavar="DEVICE",
        help="pi3, pi4, pi400, pi5, cm4, pi-zero2w (with -32bit: a 32-bit system), a name of "
        "`edgecnn zoo list`, or this",
    )
    add("--out", type=Path, required=True, metavar="DIR", help="the folder; DIR.tar.gz beside it")
    add("--labels", type=Path, metavar="FILE", help="a foreign file's classes, one a line")
    add("--wheels", action="store_true", help="put the wheels in, for a board without network")
    add("--python", metavar="3.N", help="the board's Python, for --wheels (default: 3.11)")
    add("--force", action="store_true", help="replace an earlier bundle")


def bundle(args: argparse.Namespace) -> Outcome:
    """Pack a file with all that a board needs to run it, and nothing else.

    The folder, and the tar.gz beside it, hold the model, a runner in one file (run.py:
    predict photos and camera frames, bench) that needs Python 3.9, numpy and one runtime,
    pinned requirements for that board, an install script, a camera loop and a systemd unit.
    Photos are prepared, and answers computed, by the very code that edgecnn predict runs.

    Example: edgecnn bundle out/run-int8.tflite --target pi4 --out board/
    """
    from edgecnn.targets import bundle as bundles
    from edgecnn.targets.board import find
    from edgecnn.targets.requirements import PYTHONS

    python = args.python or "3.11"
    if python not in PYTHONS:
        raise InputError(
            f"Python {python}", where="--python", fix=f"choose one of {', '.join(PYTHONS)}"
        )
    made = bundles.write(
        args.file,
        find(args.target),
        args.out,
        labels=args.labels,
        wheels_for=python if args.wheels else None,
        force=args.force,
    )
    data = {
        "bundle": str(made.folder),
        "archive": str(made.archive),
        "bytes": made.archive.stat().st_size,
        "device": made.device.name,
        "machine": made.device.machine,
        "runtimes": list(made.runtimes),
        "wheels": list(made.wheels),
    }
    return Outcome(data, lambda: _view(made))


def _view(made: Bundle) -> list[Any]:
    size = made.archive.stat().st_size / 1e6
    archive, unpacked = (shlex.quote(str(part)) for part in (made.archive, made.folder.name))
    there = shlex.quote(made.archive.name)
    return [
        f"{made.archive}  {size:.2f} MB, for {made.device.title} ({made.device.machine})",
        f"next: scp {archive} BOARD: and there: tar xzf {there} && sh {unpacked}/install.sh",
    ]
