from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgecnn.core.errors import InputError
from edgecnn.targets.doctor import examine
from edgecnn.targets.findings import Diagnosis, Finding


@pytest.fixture
def board(serve: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that starts a board whose PATH is a folder of ours; "ssh" here reaches it."""

    def begin(path: Path) -> Any:
        made = serve(f"SetEnv PATH={path} HOME={tmp_path} TMPDIR={tmp_path}")
        (tmp_path / "here").mkdir()
        ssh = tmp_path / "here" / "ssh"
        ssh.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {made.config} "$@"\n')
        ssh.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path / 'here'}:{os.environ['PATH']}")
        return made

    return begin


def of(diagnosis: Diagnosis, check: str) -> list[Finding]:
    return [finding for finding in diagnosis.findings if finding.check == check]


def test_a_finding_that_asks_for_something_says_for_what() -> None:
    with pytest.raises(ValueError, match="what is to be done"):
        Finding("disk", "error", "full")


def test_a_kind_of_board_is_judged_from_its_profile() -> None:
    told = examine("pi5")
    assert told.usable
    assert told.findings[0].what == "from devices/: no board was looked at"
    assert "Raspberry Pi 5, Cortex-A76" in of(told, "architecture")[0].what
    assert {f.level for f in of(told, "CPU")} == {"ok"}
    assert examine("predicted:pi5").findings == told.findings


def test_an_unknown_device_or_target_is_refused() -> None:
    with pytest.raises(InputError, match="no device 'pi6'"):
        examine("pi6")
    with pytest.raises(InputError, match="no target"):
        examine("ssh")
    with pytest.raises(InputError, match="no such file"):
        examine("pi4", [Path("absent.tflite")])


@pytest.mark.tensorflow
@pytest.mark.slow
def test_onnx_on_a_32_bit_system_is_in_the_way_and_tflite_is_not(tiny_files: Path) -> None:
    files = [tiny_files / "tiny-float32.onnx", tiny_files / "tiny-int8.tflite"]
    told = examine("pi4-32bit", files)
    assert not told.usable
    assert of(told, "tiny-float32.onnx")[0].fix == "export with --format tflite"
    assert of(told, "tiny-int8.tflite")[0].what == "tflite-runtime 2.14.0 runs it there"
    assert examine("pi4-32bit", files[1:]).usable


@pytest.mark.tensorflow
@pytest.mark.slow
def test_this_machine_runs_what_it_made(tiny_files: Path) -> None:
    told = examine("cpu", [tiny_files / "tiny-int8.tflite", tiny_files / "tiny-float32.onnx"])
    assert told.usable
    assert "runs it there" in of(told, "tiny-int8.tflite")[0].what
    assert sys.executable in of(told, "tflite runtime")[0].what


@pytest.mark.tensorflow
@pytest.mark.slow
def test_operations_newer_than_the_runtime_are_found_before_anything_is_copied(
    tiny_files: Path, tmp_path: Path
) -> None:
    data = bytearray((tiny_files / "tiny-int8.tflite").read_bytes())
    at = operator_version(bytes(data))
    data[at : at + 4] = (40).to_bytes(4, "little")
    newer = tmp_path / "newer.tflite"
    newer.write_bytes(data)
    told = examine("pi4", [newer])
    (finding,) = of(told, "newer.tflite")
    assert finding.level == "error"
    assert "version 40, and litert 2.3.0 has up to version" in finding.what
    assert not told.usable


def operator_version(data: bytes) -> int:
    """Place of a version above 1 of one of the file's operator codes."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(data)
    for index in range(model.OperatorCodesLength()):
        code = model.OperatorCodes(index)
        offset = code._tab.Offset(8)
        if offset:
            return code._tab.Pos + offset
    raise AssertionError("all versions are 1")


@pytest.mark.board
def test_a_board_is_asked_without_python_and_tells_all_at_once(
    board: Any, bare_path: Path, program: Callable[[Path, str], None], tmp_path: Path
) -> None:
    program(bare_path / "date", "echo 17")
    program(bare_path / "vcgencmd", "echo throttled=0x50005")
    board(bare_path)
    told = examine("ssh:board")
    assert not told.usable
    assert of(told, "connection")[0].level == "ok"
    assert "1970-01-01" in of(told, "date")[0].what
    assert [f.level for f in of(told, "throttling")] == ["warning", "warning"]
    assert of(told, "Python") == [
        Finding("Python", "error", "no Python", "sudo apt install python3")
    ]
    assert str(tmp_path) in of(told, "disk")[0].what
    assert not (tmp_path / ".edgecnn").exists()


@pytest.mark.board
def test_a_board_with_another_architecture_is_told_before_anything_is_copied(
    board: Any, bare_path: Path, program: Callable[[Path, str], None]
) -> None:
    program(bare_path / "uname", 'case $1 in -m) echo armv6l ;; *) echo "Linux 6.1" ;; esac')
    program(bare_path / "getconf", 'case $1 in LONG_BIT) echo 32 ;; *) echo "glibc 2.36" ;; esac')
    program(bare_path / "python3", f'exec {sys.executable} "$@"')
    board(bare_path)
    told = examine("ssh:board")
    assert not told.usable
    assert of(told, "architecture")[0].what.startswith("armv6l")


@pytest.mark.board
def test_a_board_that_is_not_there_is_a_finding(
    serve: Callable[..., Any], board: Any, bare_path: Path
) -> None:
    board(bare_path).cut()
    told = examine("ssh:board")
    assert [f.what for f in told.findings] == ["a machine without an SSH server"]
    with pytest.raises(InputError, match="no \\[user@\\]host"):
        examine("ssh:-x")
