from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edgecnn.bench import ThisMachine
from edgecnn.core.errors import InputError

REQUEST = {"model": "m.tflite", "runtime": "litert"}
Interpreter = Callable[[str], Path]


def test_the_request_arrives_with_an_absolute_path(
    interpreter: Interpreter, tmp_path: Path
) -> None:
    answer = ThisMachine(interpreter("echo '{\"a\": 1}'")).run(REQUEST, timeout_seconds=20)
    assert answer == {"a": 1}
    sent = json.loads((tmp_path / "request.json").read_text())
    assert Path(sent["model"]) == Path("m.tflite").absolute()


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("kill -SEGV $$", r"makes litert crash \(SIGSEGV\) in m.tflite"),
        ("kill -ABRT $$", "SIGABRT"),
        ("echo 'No module named numpy' >&2; exit 1", r"failed \(No module named numpy\)"),
        ("exit 3", "no message"),
        ("echo nonsense", "not JSON"),
        ("echo '[1]'", "no object"),
        ("true", "not JSON"),
    ],
)
def test_however_a_worker_ends_the_user_sees_one_line(
    interpreter: Interpreter, script: str, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        ThisMachine(interpreter(script)).run(REQUEST, timeout_seconds=20)
    assert "\n" not in str(caught.value)


def test_a_worker_that_hangs_is_ended(interpreter: Interpreter) -> None:
    with pytest.raises(InputError, match="no answer from the runtime within"):
        ThisMachine(interpreter("exec sleep 60")).run(REQUEST, timeout_seconds=0.3)


def test_an_interpreter_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="check --python"):
        ThisMachine(tmp_path / "nothing").run(REQUEST, timeout_seconds=1)
