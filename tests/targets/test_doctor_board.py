from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.core.errors import InputError
from edgecnn.targets.doctor_board import board_findings
from edgecnn.targets.doctor_files import python_findings, runtime_findings
from edgecnn.targets.findings import Finding
from edgecnn.targets.probe import Board, read

NOW = 1_790_000_000.0
PI4 = """\
machine=aarch64
kernel=Linux 6.6.31+rpt-rpi-v8
bits=64
host=raspberrypi
user=pi
now=1790000003
os=Debian GNU/Linux 12 (bookworm)
board=Raspberry Pi 4 Model B Rev 1.4
part=0xd08
features=fp asimd evtstrm crc32 cpuid
cores=4
memory_kb=3884000
available_kb=3300000
libc=glibc 2.36
folder=/var/tmp
disk_kb=20000000
inodes=1000000
governor=ondemand
clock_khz=600000
clock_max_khz=1800000
temperature_mc=48312
throttled=0x0
load=0.08
"""
PYTHON = (
    'python=/usr/bin/python3\t{"version": "3.11.2", "bits": 64, "kept": {}, "numpy": "1.24.2", '
    '"litert": null, "tflite-runtime": null, "onnxruntime": null, "pip": true, "venv": true}\n'
)
END = "end=1\n"


def board(text: str = PI4 + PYTHON, **changed: str) -> Board:
    """A Pi 4, with lines in other words."""
    lines = dict(line.split("=", 1) for line in text.splitlines())
    lines |= changed
    return read("".join(f"{k}={v}\n" for k, v in lines.items()) + END, where="there")


def found(check: str, **changed: str) -> list[Finding]:
    return [f for f in board_findings(board(**changed), now=NOW) if f.check == check]


def test_a_fresh_pi_4_is_in_order() -> None:
    findings = board_findings(board(), now=NOW)
    assert {finding.level for finding in findings} == {"ok", "note"}
    assert findings[0].what == "aarch64, 4 cores (Raspberry Pi 4 Model B Rev 1.4, Cortex-A72)"
    assert [f.what.partition(":")[0] for f in findings if f.level == "note"] == [
        "no int8 dot products",
        "no float16 arithmetic",
    ]


def test_a_pi_5_has_dot_products_and_float16() -> None:
    features = "fp asimd aes atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp"
    assert [f.level for f in found("CPU", features=features)] == ["ok", "ok"]


def test_a_pc_is_asked_for_its_own_instructions() -> None:
    told = found("CPU", machine="x86_64", features="fpu sse4_2 avx2")
    assert [(f.level, f.what.partition(":")[0]) for f in told] == [
        ("note", "no int8 dot products (VNNI)"),
        ("ok", "AVX2"),
    ]


@pytest.mark.parametrize(
    ("changed", "check", "level", "words"),
    [
        ({"machine": "armv6l", "bits": "32"}, "architecture", "error", "no runtime has packages"),
        ({"machine": "riscv64"}, "architecture", "error", "64-bit ARM or x86"),
        ({"bits": "32"}, "architecture", "warning", "on a 64-bit kernel"),
        ({"libc": "musl libc (aarch64)"}, "system", "error", "not glibc"),
        ({"libc": "glibc 2.28"}, "system", "error", "too old"),
        ({"available_kb": "90000"}, "memory", "warning", "92 MB of 3977 MB free"),
        ({"disk_kb": "20000"}, "disk", "warning", "20 MB free in /var/tmp"),
        ({"disk_kb": "0"}, "disk", "error", "0 MB free"),
        ({"inodes": "0"}, "disk", "warning", "TMPDIR"),
        ({"disk_kb": "", "folder": ""}, "disk", "error", "no folder that takes files"),
        ({"governor": "powersave"}, "clock", "warning", "scaling_governor"),
        ({"temperature_mc": "81000"}, "heat", "warning", "81 °C"),
        ({"throttled": "0x50005"}, "throttling", "warning", "power supply"),
        ({"throttled": "0x80008"}, "throttling", "warning", "heat sink"),
        ({"load": "3.9"}, "load", "warning", "3.9 programs"),
        ({"now": "17"}, "date", "warning", "1970-01-01 00:00 UTC, which is not now"),
        ({"now": "99999999999999999"}, "date", "warning", "which is not now"),
    ],
)
def test_what_is_amiss_says_what_to_do(
    changed: dict[str, str], check: str, level: str, words: str
) -> None:
    told = [f for f in found(check, **changed) if f.level == level]
    assert words in f"{told[0].what}: {told[0].fix}"
    assert told[0].fix


def test_throttling_that_is_over_is_a_note() -> None:
    assert found("throttling", throttled="0x50000") == [
        Finding("throttling", "note", "since it started, not now: under-voltage"),
        Finding("throttling", "note", "since it started, not now: throttled"),
    ]


def test_what_a_board_does_not_tell_is_not_judged() -> None:
    silent = read("machine=aarch64\nend=1\n", where="there")
    assert [f.check for f in board_findings(silent, now=NOW)] == ["architecture"]


keys = st.sampled_from([line.partition("=")[0] for line in PI4.splitlines()])


@given(st.dictionaries(keys, st.text(st.characters(exclude_characters="\r\n"), max_size=60)))
def test_no_answer_of_a_board_makes_the_doctor_stumble(changed: dict[str, str]) -> None:
    try:
        there = board(**changed)
    except InputError:
        return
    assert board_findings(there, now=NOW)


@pytest.mark.parametrize("told", ["", "not found", '{"version": 3}', "[]", '{"version": "x.y"}'])
def test_a_python_that_does_not_start_is_told_as_such(told: str) -> None:
    there = read(f"python=/usr/bin/python3\t{told}\nmachine=aarch64\nend=1\n", where="there")
    (finding,) = python_findings(there, where="ssh:pi4")
    assert (finding.level, finding.check) == ("error", "Python")
    assert finding.what.startswith("no Python 3.9 or newer (/usr/bin/python3: ")


def test_a_script_that_did_not_come_to_its_end_is_no_board() -> None:
    with pytest.raises(InputError, match="POSIX sh"):
        read("machine=aarch64\n", where="ssh:nas")


def with_python(**changed: str) -> Board:
    line = PYTHON
    for name, value in changed.items():
        line = line.replace(
            f'"{name.replace("_", "-")}": null', f'"{name.replace("_", "-")}": "{value}"'
        )
        line = line.replace('"numpy": "1.24.2"', f'"numpy": "{value}"') if name == "numpy" else line
    return board(PI4 + line)


def test_a_runtime_that_is_there_is_named() -> None:
    runtime, (finding,) = runtime_findings(with_python(litert="2.1.0"), "tflite", where="x")
    assert runtime is not None
    assert (runtime.name, runtime.version, runtime.brought) == ("litert", "2.1.0", False)
    assert finding.what == "litert 2.1.0, numpy 1.24.2 in /usr/bin/python3"


def test_a_runtime_that_is_not_there_would_be_brought_where_there_is_room() -> None:
    runtime, (note,) = runtime_findings(board(), "onnx", where="x")
    assert runtime is not None
    assert (runtime.name, runtime.brought, note.level) == ("onnxruntime", True, "note")
    _, (_, room) = runtime_findings(board(disk_kb="90000"), "onnx", where="x")
    assert (room.check, room.level) == ("disk", "error")


def test_numpy_2_beside_tflite_runtime_is_a_warning() -> None:
    there = with_python(numpy="2.1.0", tflite_runtime="2.14.0")
    warning = list(python_findings(there, where="x"))[-1]
    assert warning.level == "warning"
    assert "'numpy<2'" in warning.fix


def test_a_32_bit_system_needs_debians_numpy() -> None:
    text = (PI4 + PYTHON).replace('"numpy": "1.24.2"', '"numpy": null')
    runtime, (finding,) = runtime_findings(board(text, bits="32"), "tflite", where="x")
    assert runtime is None
    assert finding.fix == "sudo apt install python3-numpy"
