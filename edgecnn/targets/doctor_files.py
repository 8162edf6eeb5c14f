"""Whether files can run on a board: its Python, its runtime, and what the files ask of both."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgecnn.bench import memory
from edgecnn.core.artifact import Format
from edgecnn.core.errors import EdgecnnError, InputError
from edgecnn.runtime.inspect import read_graph
from edgecnn.runtime.metadata import format_of, mapped
from edgecnn.targets import provision, requirements
from edgecnn.targets.findings import Finding
from edgecnn.targets.opcodes import newest_opset, newest_version
from edgecnn.targets.probe import Board, Interpreter

# MB unzipped: numpy, pillow and LiteRT, or ONNX Runtime, with what they need.
_BROUGHT_MB = {"tflite": 150, "onnx": 180}
# MB of a process with numpy and a runtime, before a file is loaded.
_PROCESS_MB = 60.0


@dataclasses.dataclass(frozen=True)
class Runtime:
    """What would run a format there.

    Attributes:
        name: Such as "litert".
        version: As far as it is known; empty otherwise.
        brought: It isn't there, and would be brought along.
    """

    name: str
    version: str
    brought: bool = False


def python_findings(board: Board, *, where: str) -> Iterator[Finding]:
    """Judge the interpreters of a board."""
    usable = [python for python in board.pythons if python.usable]
    if not usable:
        try:
            provision.first_python(board, where=where)
        except InputError as error:
            yield Finding("Python", "error", error.what, error.fix)
        return
    named = ", ".join(f"{'.'.join(map(str, p.version))} ({p.path})" for p in usable)
    yield Finding("Python", "ok", named)
    for python in usable:
        numpy = python.packages.get("numpy", "")
        if "tflite-runtime" in python.packages and numpy.partition(".")[0] not in ("", "1"):
            yield Finding(
                "Python",
                "warning",
                f"{python.path} has tflite-runtime with numpy {numpy}, which breaks it",
                f"{python.path} -m pip install 'numpy<2'",
            )


def runtime_findings(
    board: Board, kind: Format, *, where: str
) -> tuple[Runtime | None, list[Finding]]:
    """Say what would run a format there: what is there, or what would be brought along.

    Returns:
        The runtime, None where nothing runs the format; and the findings.
    """
    check, family = f"{provision.family(kind)} runtime", provision.family(kind)
    there = provision.ready(board, kind, None)
    if there is not None:
        python = next(p for p in board.pythons if p.path == there.python)
        name = python.runtime(kind)
        if name is not None:
            what = f"{name} {python.packages[name]}, numpy {python.packages['numpy']}"
            found = Finding(check, "ok", f"{what} in {python.path}")
            return Runtime(name, python.packages[name]), [found]
        name, version = _pinned(board, kind, python, where)
        what = f"{name}, kept from an earlier run in {python.kept[family]}"
        return Runtime(name, version), [Finding(check, "ok", what)]
    try:
        python = provision.installable(board, kind, where)
        name, version = _pinned(board, kind, python, where)
    except InputError as error:
        return None, [Finding(check, "error", error.what, error.fix)]
    what = f"none there: {name} {version} would be brought along for each run, once with --keep"
    findings = [Finding(check, "note", what)]
    free, needed = board.number("disk_kb"), _BROUGHT_MB[family]
    if free is not None and free * 1024 / 1e6 < needed:
        what = f"{free * 1024 / 1e6:.0f} MB free where {name} needs {needed} MB"
        findings.append(Finding("disk", "error", what, "free some, or set TMPDIR in ~/.profile"))
    return Runtime(name, version, brought=True), findings


def _pinned(board: Board, kind: Format, python: Interpreter, where: str) -> tuple[str, str]:
    """Return name and version of the runtime that the requirements ask for."""
    lines = requirements.requirements(kind, provision.device_of(board, where))
    package, _, version = requirements.chosen(lines, python.minor)[0].partition("==")
    return ("litert" if package == "ai-edge-litert" else package), version.strip()


def file_findings(path: Path, board: Board, *, where: str) -> list[Finding]:
    """Judge one file on a board.

    Raises:
        InputError: no model file, or a damaged one.
    """
    with mapped(path) as data:
        kind: Format = format_of(data, where=path)
    runtime, _ = runtime_findings(board, kind, where=where)
    if runtime is None:
        return [
            Finding(path.name, "error", f"nothing there runs {kind}", _other_format(kind, board))
        ]
    found = [*_operations(path, kind, runtime), *_room(path, kind, board)]
    if all(finding.level in ("ok", "note") for finding in found):
        version = f" {runtime.version}" if runtime.version else ""
        found.insert(0, Finding(path.name, "ok", f"{runtime.name}{version} runs it there"))
    return found


def _other_format(kind: Format, board: Board) -> str:
    if kind != "tflite" and board.machine == "armv7l":
        return "export with --format tflite"
    return "see the findings about its runtime"


def _operations(path: Path, kind: Format, runtime: Runtime) -> Iterator[Finding]:
    """Compare the file's operations with those that the runtime has."""
    try:
        opcodes = read_graph(path).opcodes
    except EdgecnnError as error:
        yield Finding(path.name, "note", f"its operations were not looked at ({error})")
        return
    if kind == "tflite":
        yield from _tflite_operations(path, opcodes, runtime)
        return
    newest, opset = newest_opset(runtime.version), max(opcodes.values(), default=0)
    if newest is not None and opset > newest:
        yield Finding(
            path.name,
            "error",
            f"opset {opset}, and onnxruntime {runtime.version} knows opsets up to {newest}",
            "install a newer onnxruntime there, or export for an older opset",
        )


def _tflite_operations(path: Path, opcodes: dict[str, int], runtime: Runtime) -> Iterator[Finding]:
    flex = sorted(name for name in opcodes if name.startswith("Flex"))
    if flex:
        yield Finding(
            path.name, "error", f"{', '.join(flex)}: TensorFlow's own, in no board's runtime",
            "convert it with built-in operations alone",
        )  # fmt: skip
    for name, version in sorted(opcodes.items()):
        newest = newest_version(runtime.name, runtime.version, name)
        if newest is not None and version > newest:
            has = f"up to version {newest}" if newest else "no such operation"
            yield Finding(
                path.name,
                "error",
                f"{name} version {version}, and {runtime.name} {runtime.version} has {has}",
                "install a newer runtime there (LiteRT on a 64-bit system), or convert it with an "
                "older TensorFlow",
            )


def _room(path: Path, kind: Format, board: Board) -> Iterator[Finding]:
    """Compare what the file takes at least with the memory that is free."""
    free = board.number("available_kb") or board.number("memory_kb")
    if free is None:
        return
    free_mb = free * 1024 / 1e6
    arena = memory.arena_mb(path, kind) or 0.0
    # Its weights once as a file and once as the kernels want them.
    needed = _PROCESS_MB + 2 * path.stat().st_size / 1e6 + arena
    if needed > free_mb:
        yield Finding(
            path.name,
            "error" if needed > 2 * free_mb else "warning",
            f"takes about {needed:.0f} MB, and {free_mb:.0f} MB are free",
            "end other programs there, or take a smaller network",
        )


def formats_of(paths: Sequence[Path]) -> tuple[Format, ...]:
    """Return the formats of files, each once; both where there are no files.

    Raises:
        InputError: no such file, or no model.
    """
    found: dict[Format, None] = {}
    for path in paths:
        if not path.is_file():
            raise InputError("no such file", where=path, fix="check the path")
        with mapped(path) as data:
            found[format_of(data, where=path)] = None
    return tuple(found) or ("tflite", "onnx")
