from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgecnn.core.errors import InputError
from edgecnn.targets.emulated import Machine, find, hardware, image, machine

pytestmark = [pytest.mark.board, pytest.mark.slow]

CPUS = {"pi4": "0xd08", "pi5": "0xd0b", "pi-zero2w": "0xd03"}
# What LD_SHOW_AUXV says of int8 dot products: a bit of AT_HWCAP, arch/arm64 uapi hwcap.h.
ASIMDDP = 1 << 20


@pytest.fixture
def said(emulated: Callable[[str], Machine]) -> Iterator[Callable[..., str]]:
    """A function that runs a command on a board and returns what it printed."""
    links: dict[str, Any] = {}

    def run(name: str, command: str) -> str:
        if name not in links:
            links[name] = emulated(name).link()
        done = links[name].run(command, timeout=60)
        assert done.code == 0, done.stderr.decode()
        return str(done.stdout.decode())

    yield run
    for link in links.values():
        link.close()


def traces(folder: Path) -> list[str]:
    """Mounts of a board, and processes that have it in their command or their environment."""
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    found = [line for line in mounts if str(folder) in line]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = [(process / name).read_bytes() for name in ("cmdline", "environ")]
        except OSError:
            continue
        if any(str(folder).encode() in text for text in told):
            found.append(told[0].replace(b"\0", b" ").decode())
    return found


@pytest.mark.parametrize("name", CPUS)
def test_a_board_shows_its_own_hardware(said: Callable[..., str], name: str) -> None:
    board = find(name)
    told = said(name, "uname -m; hostname; id -un; tr -d '\\0' </proc/device-tree/model; echo; "
                "grep -m1 'CPU part' /proc/cpuinfo; cat /sys/devices/system/cpu/online; "
                "python3 -c 'import os; print(os.cpu_count())'; "
                "head -1 /proc/meminfo").splitlines()  # fmt: skip
    assert told[:4] == ["aarch64", "raspberrypi", "pi", board.model]
    assert told[4].split()[-1] == CPUS[name]
    assert told[5:7] == ["0-3", "4"]
    assert int(told[7].split()[1]) * 1024 == pytest.approx(board.memory_mb * 1e6, rel=1e-5)


def test_the_processor_is_the_boards_whatever_the_client_asks_for(
    said: Callable[..., str], emulated: Callable[[str], Machine]
) -> None:
    def has_dot_products(text: str) -> bool:
        line = next(line for line in text.splitlines() if line.startswith("AT_HWCAP:"))
        return bool(int(line.split()[1], 16) & ASIMDDP)

    assert not has_dot_products(said("pi4", "LD_SHOW_AUXV=1 /bin/true"))
    assert has_dot_products(said("pi5", "LD_SHOW_AUXV=1 /bin/true"))
    there = emulated("pi4")
    words = ["ssh", *there.options, "-o", "SetEnv=QEMU_CPU=max", there.host]
    told = subprocess.run([*words, "LD_SHOW_AUXV=1 /bin/true"], capture_output=True, check=True)
    assert not has_dot_products(told.stdout.decode())


def test_heat_and_throttling_are_what_the_test_sets(
    said: Callable[..., str], emulated: Callable[[str], Machine]
) -> None:
    root = emulated("pi4").root
    ask = "vcgencmd measure_temp; vcgencmd get_throttled; vcgencmd measure_clock arm"
    cool = said("pi4", ask)
    assert cool.split() == ["temp=48.3'C", "throttled=0x0", "frequency(48)=1500000000"]
    try:
        hardware.set_temperature(root, celsius=85.0)
        hardware.set_throttled(root, bits=0x50005)
        hardware.set_clock(root, mhz=1000)
        hot = said("pi4", ask)
        assert hot.split() == ["temp=85.0'C", "throttled=0x50005", "frequency(48)=1000000000"]
    finally:
        hardware.set_temperature(root, celsius=48.3)
        hardware.set_throttled(root, bits=0)
        hardware.set_clock(root, mhz=1500)


def test_runtimes_find_their_kernels(said: Callable[..., str]) -> None:
    # Without /sys LiteRT leaves XNNPACK out; with the host's /proc/cpuinfo both crash.
    told = said("pi4", "python3 -c 'import ai_edge_litert.interpreter, onnxruntime, numpy; "
                "print(numpy.__version__)' 2>&1")  # fmt: skip
    assert told.split() == ["1.26.4"]


def test_a_board_from_the_cache_is_up_in_20_seconds_and_leaves_nothing(
    emulated: Callable[[str], Machine], tmp_path: Path
) -> None:
    emulated("pi4")  # its image is in the cache now
    images = {path: path.stat().st_mtime_ns for path in image.folder().glob("arm64-*.tar.zst")}
    began = time.monotonic()
    there = machine.start(find("pi4"), tmp_path / "own", home_mb=8)
    try:
        assert time.monotonic() - began < 20
        assert traces(tmp_path)
        link = there.link()
        full = link.run("head -c 20000000 /dev/zero >big", timeout=60)
        assert b"No space left" in full.stderr
        link.run("sleep 500 >/dev/null 2>&1 & echo started")
        there.unplug()
        assert not there.alive
        link.close()
    finally:
        there.stop()
    assert traces(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
    assert images == {path: path.stat().st_mtime_ns for path in images}


def test_a_board_ends_with_the_process_that_started_it(
    emulated: Callable[[str], Machine], tmp_path: Path
) -> None:
    emulated("pi4")
    program = (
        "import sys, pathlib, time\n"
        "from edgecnn.targets.emulated import find, start\n"
        "start(find('pi4'), pathlib.Path(sys.argv[1]))\n"
        "print('up', flush=True)\n"
        "time.sleep(600)\n"
    )
    words = [sys.executable, "-c", program, str(tmp_path / "own")]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        assert len(traces(tmp_path)) > 1
        process.kill()
    end = time.monotonic() + 10
    while (left := traces(tmp_path)) and time.monotonic() < end:
        time.sleep(0.1)
    assert left == []


def test_a_32_bit_board_runs_its_runtime(said: Callable[..., str]) -> None:
    told = said("pi3-32bit", "uname -m; python3 -c 'import tflite_runtime.interpreter, numpy, PIL; "
                "import sys; print(numpy.__version__, sys.maxsize)'")  # fmt: skip
    machine_name, version, largest = told.split()
    assert machine_name == "armv7l"
    assert version.startswith("1.")
    assert int(largest) == 2**31 - 1


def test_what_is_missing_here_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"no program qemu-aarch64.*tools/system-packages"):
        machine.start(find("pi4"), tmp_path / "own")


def test_a_damaged_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "image.tar.zst").write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"image\.tar\.zst"):
        image.unpack(tmp_path / "image.tar.zst", tmp_path)
