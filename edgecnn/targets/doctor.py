"""What will and won't work on a target, all at once, before anything is copied there."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgecnn.core.artifact import Format
from edgecnn.core.device import find_device
from edgecnn.core.errors import InputError, unknown
from edgecnn.targets import board as boards
from edgecnn.targets import provision
from edgecnn.targets.doctor_board import board_findings
from edgecnn.targets.doctor_files import (
    file_findings,
    formats_of,
    python_findings,
    runtime_findings,
)
from edgecnn.targets.doctor_gpu import gpu_findings
from edgecnn.targets.emulated import machine as emulation
from edgecnn.targets.emulated.boards import find as find_emulated
from edgecnn.targets.findings import Diagnosis, Finding
from edgecnn.targets.host import check_host
from edgecnn.targets.link import Link
from edgecnn.targets.probe import Board, Interpreter, probe, probe_here
from edgecnn.targets.target import KINDS

_WHERE = "--target"
# What Raspberry Pi OS has had since 2023 and since 2025: a profile doesn't tell.
_USUAL_PYTHONS = ((3, 11), (3, 13))


def examine(target: str, files: Sequence[Path] = (), *, python: Path | None = None) -> Diagnosis:
    """Look at a target, and at files with regard to it.

    A board that can't be reached is a finding, too.

    Args:
        target: ``cpu``, ``gpu``, ``ssh:[user@]host``, ``emulated:NAME``, ``predicted:NAME`` or
            a device's name; of the last two the profile alone is looked at.
        files: Models.
        python: The interpreter that has the runtime, here or there. None: this one; what is
            found there.

    Raises:
        InputError: no such target or file.
    """
    formats = formats_of(files)  # a wrong path is no board's fault
    kind, _, name = target.partition(":")
    if target == "cpu":
        return _of_board(target, probe_here(python or Path(sys.executable)), files, formats)
    if target == "gpu":
        return Diagnosis(target, tuple(gpu_findings()))
    if kind == "ssh" and name:
        check_host(name)
        return _over_ssh(target, name, files, formats, python)
    if kind == "emulated" and name:
        return _emulated(target, name, files, formats)
    if kind in KINDS and kind != "predicted":
        raise unknown("target", target, ["cpu", "gpu", "ssh:HOST", "emulated:NAME"], where=_WHERE)
    return _by_profile(target, name if kind == "predicted" else target, files, formats)


def _over_ssh(
    target: str, host: str, files: Sequence[Path], formats: Sequence[Format], python: Path | None
) -> Diagnosis:
    try:
        with Link(host) as link:
            board = probe(link, str(python) if python else None)
    except InputError as error:
        return Diagnosis(target, (Finding("connection", "error", error.what, error.fix),))
    found = _of_board(target, board, files, formats)
    user = f", as {board.facts['user']}" if board.facts.get("user") else ""
    first = Finding("connection", "ok", f"{board.facts.get('host') or host}{user}")
    return Diagnosis(target, (first, *found.findings))


def _of_board(
    target: str, board: Board, files: Sequence[Path], formats: Sequence[Format]
) -> Diagnosis:
    found = [*board_findings(board, now=_now()), *python_findings(board, where=target)]
    if any(python.usable for python in board.pythons):
        for kind in dict.fromkeys(provision.family(kind) for kind in formats):
            found += _of_runtime(board, kind, files, target)
    for path in files:
        found += file_findings(path, board, where=target)
    return Diagnosis(target, tuple(found))


def _of_runtime(
    board: Board, kind: Format, files: Sequence[Path], target: str
) -> Iterator[Finding]:
    runtime, findings = runtime_findings(board, kind, where=target)
    if target == "cpu" and (runtime is None or runtime.brought):
        fix = f"pip install 'edgecnn[{provision.family(kind)}]'"
        yield Finding(findings[0].check, "error" if files else "warning", "none here", fix)
        return
    for finding in findings:
        if files or runtime is not None:
            yield finding
        else:  # nobody asked for this format
            yield Finding(finding.check, "note", finding.what)


def _emulated(
    target: str, name: str, files: Sequence[Path], formats: Sequence[Format]
) -> Diagnosis:
    board = find_emulated(name)
    running = emulation.started(board)
    if running is not None:
        with running.link() as link:
            return _of_board(target, probe(link), files, formats)
    emulator = f"qemu-{board.system.qemu}"
    if shutil.which(emulator) is None:
        here = Finding(
            "emulator", "error", f"no {emulator} on this machine",
            "sudo apt install qemu-user qemu-user-static binfmt-support",
        )  # fmt: skip
    else:
        here = Finding("emulator", "ok", f"{emulator}; the board starts with the first file")
    found = _by_profile(target, board.profile, files, formats)
    return Diagnosis(target, (here, *found.findings))


def _by_profile(
    target: str, name: str, files: Sequence[Path], formats: Sequence[Format]
) -> Diagnosis:
    """Judge a kind of board from its profile, without reaching one."""
    device = boards.find(name)
    profile = find_device(name.removesuffix(boards.BITS_32), where=_WHERE)
    bits = "32" if device.machine == "armv7l" else "64"
    facts = {
        "machine": device.machine,
        "board": device.title,
        "cpu": f"{profile.cpu.core}, {profile.cpu.clock_mhz} MHz" if profile.cpu.core else "",
        "features": "" if bits == "32" else " ".join(profile.cpu.features),
        "bits": bits,
    }
    if device.cores:
        facts["cores"] = str(device.cores)
    if profile.memory is not None:
        facts["memory_kb"] = f"{min(profile.memory.sizes_gb) * 1e9 / 1024:.0f}"
    packages = {"numpy": "from Debian"} if bits == "32" else {}
    pythons = tuple(
        Interpreter(path=f"python{a}.{b}", version=(a, b), bits=int(bits), packages=packages)
        for a, b in _USUAL_PYTHONS
    )
    board = Board(facts=facts, pythons=pythons)
    found = _of_board(target, board, files, formats)
    note = Finding("profile", "note", "from devices/: no board was looked at")
    kept = [finding for finding in found.findings if finding.check != "Python"]
    return Diagnosis(target, (note, *kept))


def _now() -> float:
    return time.time()  # noqa: TID251 - the date itself, to be compared with another clock's
