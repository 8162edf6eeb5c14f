"""`main`: exit codes, one line an error, stdout for results alone."""

import argparse
import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import edgecnn
from edgecnn import cli
from edgecnn.cli.outcome import Outcome
from edgecnn.core import progress
from edgecnn.core.errors import CheckFailed, InputError, Interrupted

Run = Callable[[argparse.Namespace], Outcome]


@pytest.fixture
def zoo_does(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Run], None]]:
    """Let the command `zoo` do something else for the time of a test."""

    def put(run: Run) -> None:
        run.__doc__ = "Do it.\n\nMore.\n\nExample: edgecnn zoo"
        command = dataclasses.replace(cli.COMMANDS["zoo"], run=run)
        monkeypatch.setitem(cli.COMMANDS, "zoo", command)

    return put


def raising(error: BaseException) -> Run:
    def run(_: argparse.Namespace) -> Outcome:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("no file", where="x", fix="look"), 2, "error: no file in x: look\n"),
        (CheckFailed("too slow"), 1, "error: too slow\n"),
        (Interrupted("stopped: add --resume"), 3, "interrupted: stopped: add --resume\n"),
        (KeyboardInterrupt(), 3, "interrupted: type the same command to begin again\n"),
        (
            PermissionError(13, "Permission denied", "/x"),
            2,
            "error: permission denied in /x: check the path and its rights\n",
        ),
        (
            MemoryError(),
            2,
            "error: not enough memory in this machine: use fewer or smaller photos\n",
        ),
        (
            KeyError("a\nb"),
            2,
            r"error: a fault of edgecnn's own (KeyError: 'a\nb') in this command: "
            "--debug shows where\n",
        ),
    ],
)
def test_each_error_is_one_line_and_an_exit_code(
    error: BaseException,
    code: int,
    line: str,
    zoo_does: Callable[[Run], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    zoo_does(raising(error))
    assert cli.main(["zoo", "--json"]) == code
    assert capsys.readouterr() == ("", line)


def test_debug_shows_the_traceback(
    zoo_does: Callable[[Run], None], capsys: pytest.CaptureFixture[str]
) -> None:
    zoo_does(raising(InputError("no file", where="x", fix="look")))
    assert cli.main(["zoo", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_what_a_library_prints_does_not_reach_stdout(
    zoo_does: Callable[[Run], None], capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_: argparse.Namespace) -> Outcome:
        sys.stdout.write("noise\n")
        return Outcome({"a": 1}, list)

    zoo_does(run)
    assert cli.main(["zoo", "--json"]) == 0
    assert capsys.readouterr() == ('{"a": 1}\n', "noise\n")


def test_quiet_holds_for_one_command_only(
    zoo_does: Callable[[Run], None], capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_: argparse.Namespace) -> Outcome:
        progress.say("note")
        return Outcome({}, list)

    zoo_does(run)
    cli.main(["zoo", "--quiet"])
    assert capsys.readouterr().err == ""
    cli.main(["zoo"])
    assert capsys.readouterr().err == "note\n"


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_the_commands(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == 0
    assert capsys.readouterr().out == cli.overview()


@pytest.mark.parametrize("words", [["train", "--help"], ["help", "train"]])
def test_help_shows_one_command(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == 0
    assert "--arch" in capsys.readouterr().out


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"edgecnn {edgecnn.__version__}\n"


def test_starting_up_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from edgecnn.cli import main\n"
        "code = main(['--help'])\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'PIL', 'rich', 'onnx', 'onnxruntime'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_leaves_early_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    words = [sys.executable, "-m", "edgecnn", "--help"]
    done = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_output_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        words = [sys.executable, "-m", "edgecnn", "--help"]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "error: no space left on device in the output: check the path and its rights\n"
    )


def test_a_polite_kill_is_an_interruption() -> None:
    script = (
        "import dataclasses, sys, time\n"
        "from edgecnn import cli\n"
        "def wait(args):\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)\n"
        "cli.COMMANDS['zoo'] = dataclasses.replace(cli.COMMANDS['zoo'], run=wait)\n"
        "wait.__doc__ = 'Wait.'\n"
        "sys.exit(cli.main(['zoo']))"
    )
    words = [sys.executable, "-c", script]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        assert child.stderr.readline() == "ready\n"
        time.sleep(0.05)
        child.send_signal(signal.SIGTERM)
        assert child.wait(10) == 3
        assert child.stderr.read() == "interrupted: type the same command to begin again\n"


def test_a_name_that_the_terminal_cannot_show_is_still_printed() -> None:
    script = (
        "import dataclasses, sys\n"
        "from edgecnn import cli\n"
        "from edgecnn.cli.outcome import Outcome\n"
        "def run(args): return Outcome({}, lambda: ['gr\\u00f6\\u00dfe'])\n"
        "run.__doc__ = 'Run.'\n"
        "cli.COMMANDS['zoo'] = dataclasses.replace(cli.COMMANDS['zoo'], run=run)\n"
        "sys.exit(cli.main(['zoo']))"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, env=environment, check=False
    )
    assert (done.returncode, done.stdout) == (0, b"gr\\xf6\\xdfe\n")
