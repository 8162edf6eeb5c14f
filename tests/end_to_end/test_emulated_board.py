"""The whole way to a board and back, on an emulated Raspberry Pi over real SSH."""

from __future__ import annotations

import contextlib
import datetime
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.bench import Job, Protocol
from edgecnn.core.errors import InputError
from edgecnn.runtime.isolated import IsolatedModel
from edgecnn.targets import bundle
from edgecnn.targets.cooling import Patience
from edgecnn.targets.doctor import board_findings
from edgecnn.targets.emulated import Machine, agreement, counting, find, hardware, start
from edgecnn.targets.probe import probe
from edgecnn.targets.ssh import SshTarget

pytestmark = [pytest.mark.board, pytest.mark.tensorflow, pytest.mark.slow]

SHORT = Protocol(seconds=0.1, runs=16, warmup_seconds=0.0, max_seconds=20.0)
LONG = Protocol(seconds=60.0, warmup_seconds=0.0, max_seconds=90.0)
ONCE = Patience(tries=1)


@pytest.fixture
def board(emulated: Callable[[str], Machine]) -> Iterator[Machine]:
    """A Raspberry Pi 4 that is cool, and was left as it was found."""
    there = emulated("pi4")
    yield there
    assert processes(there) == []
    with contextlib.closing(there.link()) as link:
        left = link.run("ls -d /var/tmp/edgecnn* /tmp/edgecnn* ~/* 2>/dev/null | grep -v lock")
    assert left.stdout == b""


@pytest.fixture
def target(board: Machine) -> Iterator[SshTarget]:
    made = over_ssh(board)
    yield made
    made.close()


def over_ssh(there: Machine) -> SshTarget:
    return SshTarget(there.host, options=there.options, patience=ONCE)


def processes(there: Machine) -> list[str]:
    """Commands that run on the board for its user: sshd's children are the sessions."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "root").readlink() == there.root:
                found.append((process / "cmdline").read_text().replace("\0", " "))
    return [command for command in found if "sshd" not in command]


def wait_until(holds: Callable[[], Any], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := holds()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return value


def test_doctor_sees_a_pi_and_its_heat(board: Machine) -> None:
    def levels() -> dict[str, str]:
        with contextlib.closing(board.link()) as link:
            found = board_findings(probe(link), now=datetime.datetime.now(datetime.UTC).timestamp())
        return {finding.check: finding.level for finding in found}

    cool = levels()
    assert {cool[name] for name in ("architecture", "system", "memory", "disk", "throttling")} == {
        "ok"
    }
    try:
        hardware.set_throttled(board.root, bits=0x4)
        hardware.set_temperature(board.root, celsius=84.0)
        hot = levels()
    finally:
        hardware.set_throttled(board.root, bits=0)
        hardware.set_temperature(board.root, celsius=48.3)
    assert "ok" not in (hot["throttling"], hot["heat"])


def test_the_bundle_predicts_there_what_it_does_here(board: Machine, line: Any) -> None:
    made = bundle.write(line.int8, board.board.board, line.int8.parent / "bundle-pi4")
    photo = min(line.photos.glob("*/*.jpg"))
    with contextlib.closing(board.link()) as link, IsolatedModel(line.int8) as model:
        link.put(made.archive.read_bytes(), "there")
        link.run("cat >there/photo.jpg", input=photo.read_bytes())
        done = link.run("cd there/bundle-pi4 && python3 run.py predict ../photo.jpg", timeout=120)
        link.run("rm -rf there")
        here = model.predict(photo).top(1)[0]
    assert done.code == 0, done.stderr.decode()
    assert here.label in done.stdout.decode().splitlines()[1]


def test_bench_runs_there_leaves_nothing_and_tells_no_time_of_an_emulator(
    target: SshTarget, line: Any
) -> None:
    row = target.measure(Job(line.int8, protocol=SHORT))
    assert (row.target, row.machine["arch"], row.runtime) == ("ssh:pi4", "aarch64", "litert")
    assert row.machine["board"] == "Raspberry Pi 4 Model B Rev 1.4"
    assert row.delegate == "XNNPACK"
    assert row.memory_mb is not None
    assert row.invalid_reasons == (
        "emulated: qemu-aarch64-static plays the processor, no time says anything",
    )
    assert (row.latency_ms, row.preprocess_ms, row.postprocess_ms) == (None, None, None)
    onnx = target.measure(Job(line.onnx, protocol=SHORT))
    assert (onnx.runtime, onnx.format) == ("onnxruntime", "onnx")


def test_a_throttled_run_is_not_valid(board: Machine, target: SshTarget, line: Any) -> None:
    try:
        hardware.set_throttled(board.root, bits=0x4)
        row = target.measure(Job(line.int8, protocol=SHORT))
    finally:
        hardware.set_throttled(board.root, bits=0)
    assert not row.valid
    assert any("throttled" in reason for reason in row.invalid_reasons)


def test_arm_answers_as_x86_does(board: Machine, line: Any) -> None:
    """On all photos, with the kernels of a Cortex-A72: int8 alike, float to 1e-5."""
    photos = sorted(line.photos.glob("*/*.jpg"))
    for path, runtime in (
        (line.int8, "litert"),
        (line.int8.with_name("run-float32.tflite"), "litert"),
        (line.int8.with_name("run-float32.onnx"), "onnxruntime"),
    ):
        with IsolatedModel(path) as model:
            pixels = np.stack([prepared(model, photo) for photo in photos])
            asked = agreement.asked(model, pixels)
            request = counting.Request(path=path, kind=kind(path), runtime=runtime)
            told = counting.count(board.link, request, asked.tensors, timeout_seconds=60)
            found = agreement.compare(asked, told.outputs, model)
        assert found.inputs == 60
        assert found.agreement_pct >= 99
        if "float32" in path.name:
            assert found.max_abs_diff <= 1e-5


def prepared(model: IsolatedModel, photo: Path) -> Any:
    from edgecnn.core.image import load

    return load(photo, model.preprocessing)


def kind(path: Path) -> Any:
    return path.suffix.removeprefix(".")


@pytest.fixture(scope="module")
def small(
    emulated: Callable[[str], Machine], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    """Another Raspberry Pi 4, whose home folder holds one megabyte."""
    emulated("pi4")  # skips where there can be none
    there = start(find("pi4"), tmp_path_factory.mktemp("small") / "pi4", home_mb=1)
    yield there
    there.stop()


def test_a_cable_that_is_pulled_in_mid_run_is_one_line_and_the_next_run_works(
    line: Any, tmp_path: Path, small: Machine
) -> None:
    there = start(find("pi4"), tmp_path / "pi4")
    target, outcome = over_ssh(there), []

    def work() -> None:
        try:
            outcome.append(target.measure(Job(line.int8, protocol=LONG)))
        except InputError as error:
            outcome.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert wait_until(lambda: any("run.py" in command for command in processes(there)), 60)
        there.unplug()
        thread.join(60)
        (error,) = outcome
        assert isinstance(error, InputError)
        assert "run the same command again" in str(error)
        assert processes(there) == []
    finally:
        target.close()
        there.stop()
    with contextlib.closing(over_ssh(small)) as target:
        assert target.measure(Job(line.int8, protocol=SHORT)).memory_mb is not None


def test_a_full_disk_is_named(line: Any, small: Machine) -> None:
    options = (*small.options, "-o", "SetEnv=TMPDIR=/home/pi")
    with contextlib.closing(small.link()) as link:
        link.run("head -c 2000000 /dev/zero >filler")
        with (
            contextlib.closing(SshTarget(small.host, options=options, patience=ONCE)) as target,
            pytest.raises(InputError, match=r"space|free|full"),
        ):
            target.measure(Job(line.int8, protocol=SHORT))
        link.run("rm filler")


def test_a_board_without_python_says_what_to_install(
    line: Any, tmp_path: Path, small: Machine
) -> None:
    pythons = list((small.root / "usr/bin").glob("python3*"))
    for path in pythons:
        path.rename(tmp_path / path.name)
    try:
        with (
            contextlib.closing(over_ssh(small)) as target,
            pytest.raises(InputError, match=r"no Python.*apt install python3"),
        ):
            target.measure(Job(line.int8, protocol=SHORT))
    finally:
        for path in pythons:
            (tmp_path / path.name).rename(path)


def test_another_architecture_is_refused_before_anything_runs(
    line: Any, emulated: Callable[[str], Machine]
) -> None:
    there = emulated("pi3-32bit")
    with contextlib.closing(over_ssh(there)) as target:
        with pytest.raises(InputError, match="32-bit"):
            target.measure(Job(line.onnx, protocol=SHORT))
        row = target.measure(Job(line.int8, protocol=SHORT))
    assert (row.runtime, row.machine["arch"]) == ("tflite-runtime", "armv7l")
