"""``edgecnn doctor``: what will and won't work on a target."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.cli.outcome import Outcome
from edgecnn.cli.parser import Parser
from edgecnn.core.errors import InputError

if TYPE_CHECKING:
    from edgecnn.targets.findings import Diagnosis

_MARKS = {"ok": "ok", "note": "note", "warning": "warn", "error": "ERROR"}


def doctor_options(parser: Parser) -> None:
    """Add the arguments of `doctor`."""
    add = parser.add_argument
    add("files", type=Path, nargs="*", metavar="FILE", help=".tflite, .onnx, .ort files, folders")
    add(
        "--target",
        action="append",
        metavar="TARGET",
        help="cpu (default), gpu, ssh:[USER@]HOST, emulated:NAME, or a device such as pi4; "
        "repeatable",
    )
    add("--python", type=Path, metavar="PATH", help="interpreter that has the runtime, there")
    add("--strict", action="store_true", help="exit 1 when there are warnings")


def doctor(args: argparse.Namespace) -> Outcome:
    """Say what will and won't work on a board before anything is copied there, and why.

    Architecture, system and C library, instruction sets, free memory and disk, governor, heat
    and throttling, load and clock, each Python with its runtime and numpy, and each FILE's
    operations and size against them: all findings at once, with what to do. A small shell
    script asks the board; nothing is installed or left there.

    A device's name (pi4, pi5, pi-zero2w, ...) reaches nothing: its profile is looked at.
    Exit code 2 when something stands in the way; warnings alone exit 0, or 1 with --strict.

    Example: edgecnn doctor --target ssh:pi@raspberrypi.local out/flowers-int8.tflite
    """
    from edgecnn.flows.opening import model_files
    from edgecnn.targets.doctor import examine

    paths = model_files(args.files) if args.files else []
    targets = dict.fromkeys(args.target or ["cpu"])
    told = [examine(target, paths, python=args.python) for target in targets]
    code, remark = _judge(told, strict=args.strict)
    data = {"schema": "edgecnn/doctor/1", "targets": told}
    return Outcome(data, lambda: _view(told), code, remark)


def _judge(told: list[Diagnosis], *, strict: bool) -> tuple[int, str]:
    """Return the exit code, and the line that says why it is not 0."""
    for level, code, word in (("error", InputError.exit_code, "error"), ("warning", 1, "warning")):
        found = [(one.target, f) for one in told for f in one.findings if f.level == level]
        if found and (code != 1 or strict):
            target, first = found[0]
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            return code, f"{word}: {first.what} in {target}: {first.fix}{more}"
    return 0, ""


def _view(told: list[Diagnosis]) -> list[Any]:
    lines: list[Any] = []
    for one in told:
        lines.append(f"{one.target}: {'usable' if one.usable else 'not usable'}")
        width = max(len(finding.check) for finding in one.findings)
        for finding in one.findings:
            mark = _MARKS[finding.level]
            lines.append(f"  {mark:<5}  {finding.check:<{width}}  {finding.what}")
            if finding.fix:
                lines.append(f"  {'':<5}  {'':<{width}}  -> {finding.fix}")
    return lines
