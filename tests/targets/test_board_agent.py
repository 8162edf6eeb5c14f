from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgecnn.targets import board_agent
from edgecnn.targets.inline import single_file

TEXT = single_file(board_agent.__name__)


class Agent:
    """The program as a board runs it, over pipes."""

    def __init__(self, folder: Path, *, silence: float = 60.0) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-c", TEXT, str(silence)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "TMPDIR": str(folder)},
        )
        self.folder = Path(self.answer()["done"]["folder"])

    def send(self, **request: Any) -> None:
        usual = {"cwd": ".", "environment": {}, "exclusive": False, "input": "", "seconds": 20}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({**usual, **request}).encode() + b"\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            told = json.loads(line)
            if "alive" not in told:
                return told
        return None

    def close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()
        self.process.wait(10)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    made = Agent(tmp_path)
    yield made
    made.process.kill()
    made.close()


def child_of(agent: Agent) -> int:
    """Start a program that would run for a minute; returns its process id."""
    agent.send(do="run", words=["sh", "-c", f"echo $$ > {agent.folder}/pid; exec sleep 60"])
    path = agent.folder / "pid"
    while not (path.exists() and path.read_text().strip()):
        time.sleep(0.02)
    return int(path.read_text())


def is_gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def test_it_stands_alone_on_the_oldest_python_of_a_board() -> None:
    tree = ast.parse(TEXT, feature_version=(3, 9))
    imported = {
        name.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for name in node.names
    }
    assert imported <= set(sys.stdlib_module_names)


def test_a_program_gives_its_output_and_code_and_what_was_sensed(agent: Agent) -> None:
    agent.send(do="run", words=["sh", "-c", "cat; echo bad >&2; exit 3"], input="hi")
    done = agent.answer()["done"]
    assert (done["code"], done["stdout"], done["stderr"]) == (3, "hi", "bad\n")
    assert (done["late"], done["oom_kills"], len(done["samples"])) == (False, 0, 2)


def test_a_program_without_end_is_killed_and_told_as_late(agent: Agent) -> None:
    agent.send(do="run", words=["sleep", "60"], seconds=0.2)
    assert agent.answer()["done"]["late"]


def test_a_request_that_fails_does_not_end_the_session(agent: Agent) -> None:
    agent.send(do="run", words=["/no/such/program"])
    assert "No such file" in agent.answer()["failed"]["text"]
    agent.send(do="sense")
    assert "clock_mhz" in agent.answer()["done"]


@pytest.mark.parametrize("how", ["end of input", "SIGTERM", "SIGHUP"])
def test_its_end_takes_programs_and_files_with_it(agent: Agent, how: str) -> None:
    pid = child_of(agent)
    if how == "end of input":
        assert agent.process.stdin is not None
        agent.process.stdin.close()
    else:
        agent.process.send_signal(getattr(signal, how))
    assert agent.process.wait(10) == 0
    assert is_gone(pid)
    assert not agent.folder.exists()


def test_silence_ends_it_too(tmp_path: Path) -> None:
    agent = Agent(tmp_path, silence=1.0)
    pid = child_of(agent)
    assert agent.process.wait(10) == 0
    assert is_gone(pid)
    assert list(tmp_path.iterdir()) == []
    agent.close()


def test_two_sessions_do_not_remove_each_others_files(agent: Agent, tmp_path: Path) -> None:
    other = Agent(tmp_path)
    assert agent.folder.exists()
    other.close()
    assert agent.folder.exists()
    assert not other.folder.exists()


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "/etc", ".ssh", "a\nb"])
def test_nothing_is_kept_outside_its_own_folder(agent: Agent, name: str) -> None:
    agent.send(do="keep", source=".", name=name)
    assert "is no name of a folder" in agent.answer()["failed"]["text"]
