from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgecnn.bench import Protocol
from edgecnn.core.errors import InputError
from edgecnn.targets import parse
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
    row = target.measure(tiny_files / name, threads=2, protocol=SHORT)
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
