"""Boards without room: real small disks and memories, where this machine may make them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgecnn.bench import Job, Protocol
from edgecnn.core.errors import InputError
from edgecnn.targets.cooling import Patience
from edgecnn.targets.ssh import SshTarget

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

SHORT = Protocol(seconds=0.05, warmup_seconds=0.0)
MEMORY_BYTES = 100_000_000


def target_in(board: Any, folder: Path) -> SshTarget:
    options = (*board.options, "-o", f"SetEnv=TMPDIR={folder}")
    return SshTarget("board", options=options, python=sys.executable, patience=Patience(tries=1))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a small disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def small_memory() -> Iterator[Path]:
    """The file that takes ids of processes which shall share little memory."""
    for root, limit in (
        ("/sys/fs/cgroup", "memory.max"),
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
    ):
        group = Path(root) / "edgecnn-test"
        try:
            group.mkdir()
        except OSError:
            continue
        if (group / limit).exists():
            (group / limit).write_text(str(MEMORY_BYTES))
            yield group / "cgroup.procs"
            group.rmdir()
            return
        group.rmdir()
    pytest.skip("no right to limit memory")


def test_a_full_disk_is_named_with_what_is_free(
    loopback: Any, tiny_files: Path, small_disk: Path
) -> None:
    target = target_in(loopback, small_disk)
    with pytest.raises(InputError, match=r"no space, 0 MB free in ssh:board:.*free some"):
        target.measure(Job(tiny_files / "tiny-int8.tflite", protocol=SHORT))
    target.close()
    assert list(small_disk.iterdir()) == []


def test_a_worker_that_the_kernel_killed_for_memory_is_told_as_such(
    loopback: Any, tiny_files: Path, tmp_path: Path, small_memory: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import pathlib, sys\n"
        "if sys.argv[:1] == ['-c'] and len(sys.argv) == 1:\n"
        f"    pathlib.Path({str(small_memory)!r}).write_text(str(__import__('os').getpid()))\n"
        f"    full = bytearray(b'1') * {3 * MEMORY_BYTES}\n"
    )
    target = target_in(loopback, tmp_path)
    target.environment = {"PYTHONPATH": str(tmp_path)}
    with pytest.raises(InputError, match="a worker that the kernel killed for memory in ssh:board"):
        target.measure(Job(tiny_files / "tiny-int8.tflite", protocol=SHORT))
    target.close()
