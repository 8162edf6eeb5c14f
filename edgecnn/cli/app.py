"""`main`: find the command, run it, print its outcome, turn each error into one line."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import traceback
from collections.abc import Sequence

import edgecnn
from edgecnn.cli.commands import COMMANDS, build_parser, overview
from edgecnn.cli.outcome import one_line, show
from edgecnn.core import interruption, progress
from edgecnn.core.errors import EdgecnnError, InputError, Interrupted


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line.

    Args:
        argv: Arguments without the program's name; the process's own by default.

    Returns:
        The exit code: 0 done, 1 a check did not hold, 2 unusable input, 3 interrupted.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    _make_printable()
    try:
        with interruption.listening():
            return _run(words)
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`); nothing is left to say, also at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except SystemExit as leaving:  # argparse's --help
        return leaving.code if isinstance(leaving.code, int) else 2
    except BaseException as error:  # noqa: BLE001 - the last handler: each error is one line
        if "--debug" in words:
            traceback.print_exc()
        return _complain(error)


def _run(words: list[str]) -> int:
    match words:
        case [] | ["-h" | "--help" | "help"]:
            sys.stdout.write(overview())
            sys.stdout.flush()
            return 0
        case ["help", name, *_]:
            return _run([name, "--help"])
        case ["--version" | "-V"]:
            sys.stdout.write(f"edgecnn {edgecnn.__version__}\n")
            return 0
    name, *rest = words
    return _run_command(name, build_parser(name).parse_all(rest))


def _run_command(name: str, args: argparse.Namespace) -> int:
    quiet = progress.QUIET.set(args.quiet)
    try:
        out = sys.stdout
        # What a library prints by itself must not get between a reader and the result.
        with contextlib.redirect_stdout(sys.stderr):
            outcome = COMMANDS[name].run(args)
        show(outcome, as_json=args.json, out=out)
        return outcome.exit_code
    finally:
        progress.QUIET.reset(quiet)


def _complain(error: BaseException) -> int:
    """Say in one line what went wrong; return the exit code."""
    match error:
        case Interrupted():
            line, code = f"interrupted: {error}", error.exit_code
        case KeyboardInterrupt():
            line, code = "interrupted: type the same command to begin again", Interrupted.exit_code
        case EdgecnnError():
            line, code = f"error: {error}", error.exit_code
        case OSError(strerror=str(reason)):
            where = error.filename or "the output"
            line, code = f"error: {reason.lower()} in {where}: check the path and its rights", 2
        case MemoryError():
            line, code = "error: not enough memory in this machine: use fewer or smaller photos", 2
        case _:
            what = f"{type(error).__name__}: {error}"
            line = f"error: a fault of edgecnn's own ({what}) in this command: --debug shows where"
            code = InputError.exit_code
    with contextlib.suppress(OSError):
        sys.stderr.write(one_line(line) + "\n")
    return code


def _make_printable() -> None:
    """A class named with letters that the terminal can't show must not end a run."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
