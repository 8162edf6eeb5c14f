from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgecnn.bench import Job, Protocol
from edgecnn.core.errors import InputError
from edgecnn.targets import provision
from edgecnn.targets.cooling import Patience
from edgecnn.targets.probe import Board, Interpreter
from edgecnn.targets.ssh import SshTarget

SHORT = Protocol(seconds=0.05, warmup_seconds=0.0)


def there(*pythons: Interpreter, asked: str = "", **facts: str) -> Board:
    usual = {"machine": "aarch64", "libc": "glibc 2.36", "cores": "4"}
    return Board(facts=usual | facts, pythons=pythons, asked=asked)


def python(path: str = "python3", minor: int = 11, **packages: str) -> Interpreter:
    named = {name.replace("_", "-"): version for name, version in packages.items()}
    return Interpreter(path=path, version=(3, minor, 2), bits=64, packages=named)


def test_the_first_interpreter_that_has_the_runtime_is_taken() -> None:
    board = there(
        python("a", numpy="1.24.2"),
        python("b", litert="2.1.0"),
        python("c", numpy="1.26.4", tflite_runtime="2.14.0"),
        python("d", numpy="2.4.6", litert="2.3.0"),
    )
    assert provision.ready(board, "tflite", None) == provision.Environment("c", {})
    assert provision.ready(board, "tflite", "litert") == provision.Environment("d", {})
    assert provision.ready(board, "onnx", None) is None


def test_what_an_earlier_run_left_is_taken_where_nothing_is_installed() -> None:
    kept = Interpreter(path="p", version=(3, 11, 2), bits=64, kept={"onnx": "/home/pi/site"})
    board = there(kept)
    expected = provision.Environment("p", {"PYTHONPATH": "/home/pi/site"})
    assert provision.ready(board, "ort", None) == expected
    assert provision.ready(board, "tflite", None) is None


@pytest.mark.parametrize(
    ("board", "words"),
    [
        (there(), "no Python in x: sudo apt install python3"),
        (there(asked="/opt/py"), "no /opt/py in x: check --python"),
        (there(python(minor=8)), "no Python 3.9 or newer"),
        (there(python(minor=15)), "Python 3.15, for which the runtime has no package"),
        (there(python(), libc="musl libc (aarch64)"), "a C library other than glibc"),
        (there(python(), machine="mips"), "a machine of type mips"),
        (there(python(), bits="32"), "sudo apt install python3-numpy"),
        (there(python(minor=13), bits="32"), "install one of 3.9, 3.10, 3.11 beside it"),
    ],
)
def test_a_board_that_nothing_can_be_brought_to_says_why(board: Board, words: str) -> None:
    with pytest.raises(InputError, match=words):
        provision.installable(board, "tflite", "x")


@pytest.mark.board
@pytest.mark.network
@pytest.mark.tensorflow
@pytest.mark.slow
def test_a_board_with_a_bare_python_gets_the_runtime_for_the_run_and_keeps_it_on_request(
    serve: Callable[..., Any],
    tiny_files: Path,
    tmp_path: Path,
    bare_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")]
    subprocess.run(words, check=True)
    (bare_path / "python3").symlink_to(tmp_path / "bare" / "bin" / "python3")
    (tmp_path / "there").mkdir()
    board = serve(f"SetEnv PATH={bare_path} HOME={tmp_path} TMPDIR={tmp_path / 'there'}")
    once, path = Patience(tries=1), tiny_files / "tiny-int8.tflite"
    said = []
    for keep in (False, True, False):
        target = SshTarget("board", options=board.options, patience=once, keep=keep)
        for threads in (1, 2):
            row = target.measure(Job(path, threads=threads, protocol=SHORT))
            assert (row.runtime, row.runtime_version) == ("litert", "2.3.0")
        target.close()
        assert list((tmp_path / "there").iterdir()) == []
        said.append(capsys.readouterr().err.count("bringing it along"))
    assert said == [1, 1, 0]
    kept = {path.name for path in (tmp_path / ".edgecnn").iterdir()}
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert kept == {f"site-{version}-tflite", "bundle-tiny-int8"}
