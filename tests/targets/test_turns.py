from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from edgecnn.core.errors import InputError
from edgecnn.targets import turns
from edgecnn.targets.turns import board_of, turn

# Holds a board's lock until it is killed.
_HOLDER = """
import sys, time
from pathlib import Path
from edgecnn.targets.turns import turn
with turn(sys.argv[1], folder=Path(sys.argv[2])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("target", "board"),
    [
        ("cpu", "this machine"),
        ("gpu", "this machine"),
        ("emulated:pi4", "this machine"),
        ("ssh:pi4", "pi4"),
        ("ssh:pi@pi4", "pi4"),
        ("predicted:pi4", None),
    ],
)
def test_what_shares_cores_shares_a_turn(target: str, board: str | None) -> None:
    assert board_of(target) == board


def test_threads_of_one_process_take_turns(tmp_path: Path) -> None:
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        with turn("ssh:pi4", folder=tmp_path, pause=lambda _: time.sleep(0.001)):
            inside += 1
            most = max(most, inside)
            time.sleep(0.01)
            inside -= 1

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert most == 1


def test_another_process_waits_says_so_and_a_killed_one_lets_go(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, "ssh:pi@pi4", str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    with holder, holder.stdout:
        assert holder.stdout.readline() == "held\n"
        with turn("ssh:pi5", folder=tmp_path):  # another board does not wait
            pass
        waits = 0

        def pause(_: float) -> None:
            nonlocal waits
            waits += 1
            if waits == 30:
                holder.kill()
                holder.wait()

        with turn("ssh:pi4", folder=tmp_path, pause=pause):
            assert waits == 30
    assert capsys.readouterr().err == "waiting: another measurement of pi4 is running\n"


def test_a_run_of_many_rows_lets_others_in_between(tmp_path: Path) -> None:
    order: list[str] = []
    begun = threading.Event()

    def rows() -> None:
        for _ in range(5):
            with turn("ssh:pi4", folder=tmp_path, pause=lambda _: time.sleep(0.001)):
                order.append("row")
                begun.set()
                time.sleep(0.05)

    runner = threading.Thread(target=rows)
    runner.start()
    begun.wait()
    with turn("ssh:pi4", folder=tmp_path, pause=lambda _: time.sleep(0.001)):
        order.append("other")
    runner.join()
    assert order.index("other") < len(order) - 2


def test_a_lock_of_another_user_needs_no_right_to_write(tmp_path: Path) -> None:
    lock = tmp_path / "edgecnn-pi4.lock"
    lock.touch(0o444)
    (tmp_path / "edgecnn-pi4.queue").touch(0o444)
    with turn("ssh:pi4", folder=tmp_path):
        pass
    assert lock.stat().st_size == 0


def test_a_link_in_the_lock_s_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "edgecnn-pi4.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="cannot write"), turn("ssh:pi4", folder=tmp_path):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_a_lock_is_open_to_all_whatever_its_maker_s_mask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with turn("ssh:../pi4", folder=tmp_path):
            pass
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o644}


def test_the_usual_folder_is_there() -> None:
    assert turns._folder().is_dir()
