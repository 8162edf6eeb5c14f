from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.core.device import Device, devices, find_device, read_device
from edgecnn.core.errors import InputError

BOARDS = [device for device in devices().values() if device.compute]
WHOLE = """\
title = "A board"
summary = "for tests"
[cpu]
arch = "aarch64"
features = ["asimd"]
source = "its manual"
"""


def test_every_board_of_the_house_has_a_profile() -> None:
    assert {
        *("raspberry-pi-3b-plus", "raspberry-pi-4", "raspberry-pi-400", "raspberry-pi-5"),
        *("raspberry-pi-zero-2-w", "raspberry-pi-cm4", "generic-x86-64", "generic-arm64"),
    } <= set(devices())


@pytest.mark.parametrize("device", BOARDS, ids=lambda device: device.name)
def test_a_board_tells_all_that_a_prediction_needs(device: Device) -> None:
    assert device.cpu.cores
    assert device.cpu.clock_mhz
    assert device.memory
    assert device.cache
    assert device.thermal
    assert device.power
    assert device.power.idle_w < device.power.stress_w
    low, high = device.memory.memcpy_gb_per_s
    assert 0 < low <= high <= (device.memory.peak_gb_per_s or high)


@pytest.mark.parametrize("device", BOARDS, ids=lambda device: device.name)
def test_peaks_agree_with_cores_clock_and_the_width_of_the_registers(device: Device) -> None:
    assert device.compute
    assert device.cpu.cores
    assert device.cpu.clock_mhz
    a_cycle = device.compute.peak_fp32_gflops * 1e3 / device.cpu.cores / device.cpu.clock_mhz
    # Registers of 128 bits: one or two multiply-adds of four numbers.
    assert min(abs(a_cycle - 8), abs(a_cycle - 16)) < 0.1
    assert (device.compute.peak_int8_gops is not None) == ("asimddp" in device.cpu.features)
    assert (device.compute.peak_fp16_gflops is not None) == ("asimdhp" in device.cpu.features)


def test_aliases_are_distinct_and_lead_to_their_board() -> None:
    aliases = [alias for device in devices().values() for alias in device.aliases]
    assert len(set(aliases)) == len(aliases)
    assert not set(aliases) & set(devices())
    assert find_device("pi4", where="here").name == "raspberry-pi-4"
    assert {"pi3", "pi4", "pi5", "pi-zero2w"} <= set(aliases)


def test_an_unknown_board_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match="no device 'raspbery-pi-5' in here: try raspberry-pi-5"):
        find_device("raspbery-pi-5", where="here")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title = ", "no TOML"),
        ('title = "x"', "has no"),
        (WHOLE + "speed = 3", "unknown speed"),
        (WHOLE + 'cores = "four"', "not int"),
        (WHOLE.replace('"its manual"', '""'), "without its source"),
        (WHOLE + '[compute]\npeak_fp32_gflops = 3\nsource = "x"', "without cores"),
        (WHOLE + '[power]\nidle_w = nan\nstress_w = 1\nsource = "x"', "not a number"),
    ],
)
def test_a_bad_profile_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "board.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=said) as error:
        read_device(path)
    assert "\n" not in str(error.value)
    assert "board.toml" in str(error.value)


def test_a_profile_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "board.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="no TOML"):
        read_device(path)
