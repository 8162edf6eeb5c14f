"""Every command has help with an example that parses, and is in the reference."""

import importlib
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from edgecnn import cli
from edgecnn.core.errors import InputError

ROOT = Path(__file__).parents[2]
PROMISED = ("demo", "train", "evaluate", "export", "verify", "predict", "bench", "bundle", "report")


def test_the_promised_commands_are_there() -> None:
    assert {*PROMISED, "compare", "doctor", "explain", "inspect", "tune", "zoo"} == set(
        cli.COMMANDS
    )


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help_with_an_example_that_parses(name: str) -> None:
    command = cli.COMMANDS[name]
    program, said, *words = shlex.split(command.example)
    assert (program, said) == ("edgecnn", name)
    assert cli.build_parser(name).parse_all(words)
    assert command.summary in cli.overview()
    assert command.example in cli.build_parser(name).format_help()
    assert len(command.text.splitlines()) >= 3


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_speaks_json_and_can_be_quiet(name: str) -> None:
    words = shlex.split(cli.COMMANDS[name].example)[2:]
    parsed = cli.build_parser(name).parse_all([*words, "--json", "--quiet", "--debug"])
    assert (parsed.json, parsed.quiet, parsed.debug) == (True, True, True)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_option_has_help(name: str) -> None:
    for action in cli.build_parser(name)._actions:
        assert action.help, action.dest


def test_an_unknown_command_offers_the_nearest() -> None:
    with pytest.raises(InputError, match="no command 'trian' in the command line: try train"):
        cli.build_parser("trian")


def test_the_reference_is_fresh_and_complete() -> None:
    tool = ROOT / "tools" / "reference.py"
    done = subprocess.run(
        [sys.executable, tool, "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    page = (ROOT / "docs" / "cli.md").read_text()
    assert all(f"## edgecnn {name}\n" in page for name in cli.COMMANDS)


def test_the_console_script_is_this_main() -> None:
    assert importlib.import_module("edgecnn.__main__").main is cli.main
