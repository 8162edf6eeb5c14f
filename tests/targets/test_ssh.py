from __future__ import annotations

import dataclasses
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgecnn.bench import Job, Protocol
from edgecnn.core.errors import InputError
from edgecnn.targets import parse, run_matrix
from edgecnn.targets.board_folder import open_lock
from edgecnn.targets.cooling import Patience
from edgecnn.targets.ssh import SshTarget

pytestmark = [pytest.mark.board, pytest.mark.tensorflow, pytest.mark.slow]

SHORT = Protocol(seconds=0.05, warmup_seconds=0.0)
ONCE = Patience(tries=1)


def left_behind(folder: Path) -> list[str]:
    """What a session left: folders, and programs that have one for their working folder."""
    found = [path.name for path in folder.glob("edgecnn-*")]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder) in str((process / "cwd").readlink()):
                found.append((process / "cmdline").read_text())
        except OSError:
            continue
    return found


def wait_until(holds: Callable[[], Any], seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := holds()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return value


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the board puts what is sent: its TMPDIR."""
    (tmp_path / "there").mkdir()
    return tmp_path / "there"


@pytest.fixture
def target(loopback: Any, folder: Path) -> Iterator[SshTarget]:
    made = SshTarget(
        "board", options=(*loopback.options, "-o", f"SetEnv=TMPDIR={folder}"),
        python=sys.executable, patience=ONCE,
    )  # fmt: skip
    yield made
    made.close()


@pytest.mark.parametrize("name", ["tiny-int8.tflite", "tiny-float32.onnx"])
def test_a_row_comes_back_and_nothing_stays(
    target: SshTarget, tiny_files: Path, folder: Path, name: str
) -> None:
    row = target.measure(Job(tiny_files / name, threads=2, protocol=SHORT))
    assert (row.model, row.target, row.threads) == (name, "ssh:board", 2)
    assert row.latency_ms is not None
    assert row.latency_ms.runs >= 64
    assert row.preprocess_ms is not None
    assert set(row.machine["sampled"][0]) == {"clock_mhz", "s", "temperature_c", "throttled"}
    assert left_behind(folder)
    target.close()
    assert left_behind(folder) == []


def test_the_command_line_names_it() -> None:
    made = parse("ssh:pi@raspberrypi.local")
    assert isinstance(made, SshTarget)
    assert (made.host, made.place.name) == ("pi@raspberrypi.local", "ssh:pi@raspberrypi.local")
    with pytest.raises(InputError, match="no \\[user@\\]host"):
        parse("ssh:-oProxyCommand=x")


LONG = Protocol(seconds=30.0, max_seconds=40.0)


def measuring(target: SshTarget, path: Path, protocol: Protocol) -> tuple[threading.Thread, Any]:
    """Start a measurement in a thread; what came of it lies in the list."""
    outcome: list[Any] = []

    def work() -> None:
        try:
            outcome.append(target.measure(Job(path, protocol=protocol)))
        except InputError as error:
            outcome.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    return thread, outcome


def runners(folder: Path) -> list[int]:
    """Process ids of the benchmark over there."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder) in str((process / "cwd").readlink()):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def with_folder(board: Any, folder: Path, **more: Any) -> SshTarget:
    options = (*board.options, "-o", f"SetEnv=TMPDIR={folder}")
    return SshTarget(
        "board", options=options, **{"python": sys.executable, "patience": ONCE, **more}
    )


def test_a_connection_cut_in_mid_run_leaves_nothing_and_the_next_run_works(
    serve: Callable[..., Any], tiny_files: Path, folder: Path
) -> None:
    board = serve()
    target = with_folder(board, folder)
    thread, outcome = measuring(target, tiny_files / "tiny-int8.tflite", LONG)
    assert wait_until(lambda: len(runners(folder)) >= 2)
    board.cut()
    assert wait_until(lambda: not left_behind(folder))
    thread.join(20)
    (error,) = outcome
    assert isinstance(error, InputError)
    assert "a connection that was cut" in str(error)
    assert "run the same command again" in str(error)
    board.again()
    row = target.measure(Job(tiny_files / "tiny-int8.tflite", protocol=SHORT))
    assert row.latency_ms is not None
    target.close()
    assert wait_until(lambda: not left_behind(folder))


def test_a_board_that_hears_nothing_more_ends_the_run_by_itself(
    serve: Callable[..., Any], tiny_files: Path, folder: Path
) -> None:
    board = serve()
    target = with_folder(board, folder, silence_seconds=3.0)
    thread, outcome = measuring(target, tiny_files / "tiny-int8.tflite", LONG)
    assert wait_until(lambda: len(runners(folder)) >= 2)
    stopped = board.silence()
    try:
        assert wait_until(lambda: not left_behind(folder))
        thread.join(20)
        assert "no sign of life for 3 s" in str(outcome[0])
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        target.close()


def test_our_own_end_leaves_nothing_over_there(
    loopback: Any, tiny_files: Path, folder: Path, tmp_path: Path
) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom edgecnn.bench import Job, Protocol\n"
        "from edgecnn.targets.ssh import SshTarget\n"
        "target = SshTarget('board', options=sys.argv[2:], python=sys.executable)\n"
        "target.measure(Job(Path(sys.argv[1]), protocol=Protocol(seconds=30)))"
    )
    options = (*loopback.options, "-o", f"SetEnv=TMPDIR={folder}")
    words = [sys.executable, "-c", script, str(tiny_files / "tiny-int8.tflite"), *options]
    (tmp_path / "here").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "here")}
    with subprocess.Popen(words, stderr=subprocess.DEVNULL, env=environment) as process:
        assert wait_until(lambda: len(runners(folder)) >= 2)
        process.kill()
    assert wait_until(lambda: not left_behind(folder))


def test_the_second_benchmark_of_a_board_waits_and_says_so(
    target: SshTarget, tiny_files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_lock() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        thread, outcome = measuring(target, tiny_files / "tiny-int8.tflite", SHORT)
        said = "ssh:board: another benchmark runs there: waiting for its end"
        heard: list[str] = []
        assert wait_until(lambda: heard.append(capsys.readouterr().err) or said in "".join(heard))
        assert outcome == []
    thread.join(30)
    assert outcome[0].latency_ms is not None


def test_a_model_that_crashes_there_is_one_bad_row_and_the_others_go_on(
    target: SshTarget, tiny_files: Path, tmp_path: Path
) -> None:
    crash_when_measured(tmp_path, "SIGSEGV")
    target.environment = {"PYTHONPATH": str(tmp_path)}
    bad, good = run_matrix(
        [tiny_files / "tiny-int8.tflite"],
        targets=[target, dataclasses.replace(target, environment={}, name="ssh:well")],
        protocol=SHORT,
    )
    assert bad.latency_ms is None
    assert bad.target == "ssh:board"
    assert bad.invalid_reasons == (
        "a file that makes litert crash (SIGSEGV) in ssh:board: tiny-int8.tflite: export it again",
    )
    assert good.latency_ms is not None


def crash_when_measured(folder: Path, number: str) -> None:
    """Make the worker die as native code does; a runtime can't be made to at will."""
    (folder / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "if sys.argv[:1] == ['-c'] and len(sys.argv) == 1:\n"
        f"    os.kill(os.getpid(), signal.{number})\n"
    )


def test_a_worker_that_was_killed_is_told_from_one_that_crashed(
    target: SshTarget, tiny_files: Path, tmp_path: Path
) -> None:
    crash_when_measured(tmp_path, "SIGKILL")
    target.environment = {"PYTHONPATH": str(tmp_path)}
    with pytest.raises(InputError, match=r"a worker that was killed \(SIGKILL\) in ssh:board"):
        target.measure(Job(tiny_files / "tiny-int8.tflite", protocol=SHORT))


def test_a_board_without_python_says_what_to_install(
    serve: Callable[..., Any], tiny_files: Path, tmp_path: Path, bare_path: Path
) -> None:
    board = serve(f"SetEnv PATH={bare_path} HOME={tmp_path}")
    target = SshTarget("board", options=board.options)
    with pytest.raises(InputError, match="no Python in ssh:board: sudo apt install python3"):
        target.measure(Job(tiny_files / "tiny-int8.tflite", protocol=SHORT))


def test_an_old_python_and_a_foreign_machine_are_refused_before_anything_is_sent(
    serve: Callable[..., Any],
    tiny_files: Path,
    tmp_path: Path,
    bare_path: Path,
    program: Callable[[Path, str], None],
) -> None:
    board = serve(f"SetEnv PATH={bare_path} HOME={tmp_path}")
    program(bare_path / "python3", """echo '{"version": "3.7.3", "bits": 32, "kept": {}, "numpy":
        null, "pip": false, "venv": false}' | tr -d '\\n'""")  # fmt: skip
    with pytest.raises(InputError, match=r"no Python 3.9 or newer \(.*python3: 3.7.3\)"):
        SshTarget("board", options=board.options).measure(Job(tiny_files / "tiny-int8.tflite"))
    program(bare_path / "python3", f'exec {sys.executable} "$@"')
    program(bare_path / "uname", "echo riscv64")
    target = SshTarget("board", options=board.options)
    with pytest.raises(InputError, match="a machine of type riscv64 in --target ssh:board"):
        target.measure(Job(tiny_files / "tiny-int8.tflite", protocol=SHORT))
    target.close()


def test_folders_of_a_session_that_lost_its_power_are_removed_by_the_next(
    target: SshTarget, tiny_files: Path, folder: Path
) -> None:
    (folder / "edgecnn-dead").mkdir()
    (folder / "edgecnn-dead" / ".alive").touch()
    (folder / "edgecnn-foreign").mkdir()
    target.measure(Job(tiny_files / "tiny-int8.tflite", protocol=SHORT))
    assert not (folder / "edgecnn-dead").exists()
    assert (folder / "edgecnn-foreign").exists()


def test_what_is_kept_stays_and_serves_the_next_time(
    serve: Callable[..., Any], tiny_files: Path, folder: Path, tmp_path: Path
) -> None:
    target = with_folder(serve(f"SetEnv HOME={tmp_path}"), folder, keep=True)
    target.measure(Job(tiny_files / "tiny-int8.tflite", protocol=SHORT))
    target.close()
    assert wait_until(lambda: not left_behind(folder))
    kept = tmp_path / ".edgecnn" / "bundle-tiny-int8"
    words = [sys.executable, kept / "run.py", "bench", "--runs", "1", "--seconds", "0.01"]
    assert subprocess.run(words, check=False).returncode == 0


def throttling(folder: Path, bin_path: Path, program: Callable[[Path, str], None]) -> Path:
    """Give the board the Raspberry Pi firmware's program; it is hot as long as a file is there."""
    hot = folder / "hot"
    hot.touch()
    program(
        bin_path / "vcgencmd",
        f"if [ -e {hot} ]; then echo throttled=0x50005; else echo throttled=0x50000; fi",
    )
    return hot


def test_a_throttled_run_is_repeated_when_the_board_has_cooled_down(
    serve: Callable[..., Any],
    tiny_files: Path,
    tmp_path: Path,
    bare_path: Path,
    program: Callable[[Path, str], None],
) -> None:
    hot = throttling(tmp_path, bare_path, program)
    waits: list[float] = []

    def cooling(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            hot.unlink()

    board = serve(f"SetEnv PATH={bare_path} HOME={tmp_path} TMPDIR={tmp_path}")
    patience = Patience(tries=2, pause=cooling)
    target = SshTarget("board", options=board.options, python=sys.executable, patience=patience)
    row = target.measure(Job(tiny_files / "tiny-int8.tflite", protocol=SHORT))
    target.close()
    assert row.machine["attempts"] == 2
    assert not [reason for reason in row.invalid_reasons if reason.startswith("throttled")]
    assert len(waits) == 2


def test_a_board_that_stays_hot_gives_an_invalid_row(
    serve: Callable[..., Any],
    tiny_files: Path,
    tmp_path: Path,
    bare_path: Path,
    program: Callable[[Path, str], None],
) -> None:
    throttling(tmp_path, bare_path, program)
    board = serve(f"SetEnv PATH={bare_path} HOME={tmp_path} TMPDIR={tmp_path}")
    patience = Patience(tries=2, seconds=6.0, pause=lambda _: None)
    target = SshTarget("board", options=board.options, python=sys.executable, patience=patience)
    row = target.measure(Job(tiny_files / "tiny-int8.tflite", protocol=SHORT))
    target.close()
    assert row.machine["attempts"] == 2
    assert not row.valid
    assert {"throttled: under-voltage", "throttled: throttled"} <= {*row.invalid_reasons}
    assert row.machine["sampled"][-1]["throttled"] == 0x50005


def test_several_boards_stand_side_by_side(
    loopback: Any, serve: Callable[..., Any], tiny_files: Path, folder: Path
) -> None:
    boards = [
        with_folder(board, folder, name=f"ssh:{name}")
        for board, name in ((loopback, "pi4"), (serve(), "pi5"))
    ]
    rows = run_matrix([tiny_files / "tiny-int8.tflite"], targets=boards, protocol=SHORT)
    for board in boards:
        board.close()
    assert [row.target for row in rows] == ["ssh:pi4", "ssh:pi5"]
    assert None not in [row.latency_ms for row in rows]
    assert wait_until(lambda: not left_behind(folder))


@pytest.mark.parametrize("name", ["tiny-int8.tflite", "tiny-float32.onnx"])
def test_operations_are_timed_there_too(target: SshTarget, tiny_files: Path, name: str) -> None:
    row = target.measure(Job(tiny_files / name, protocol=dataclasses.replace(SHORT, per_op=True)))
    assert row.per_op_reason == ""
    assert row.per_op_about is not None
    assert {operation.operation for operation in row.per_op} & {"CONV_2D", "Conv"}
