from __future__ import annotations

import platform

import pytest

from edgecnn.core.errors import InputError
from edgecnn.targets.board import find


@pytest.mark.parametrize(
    ("name", "profile", "machine"),
    [
        ("pi3", "raspberry-pi-3b-plus", "aarch64"),
        ("pi4", "raspberry-pi-4", "aarch64"),
        ("raspberry-pi-5", "raspberry-pi-5", "aarch64"),
        ("pi-zero2w-32bit", "raspberry-pi-zero-2-w-32bit", "armv7l"),
        ("generic-x86-64", "generic-x86-64", "x86_64"),
        ("this", "this", platform.machine()),
    ],
)
def test_a_name_or_a_short_name_is_a_device(name: str, profile: str, machine: str) -> None:
    device = find(name)
    assert (device.name, device.machine) == (profile, machine)


@pytest.mark.parametrize("name", ["pi44", "", "../pi4", "generic-x86-64-32bit", "-32bit"])
def test_another_name_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(InputError, match="no device") as caught:
        find(name)
    assert "\n" not in str(caught.value)


def test_a_slip_of_the_finger_gets_the_nearest_name() -> None:
    with pytest.raises(InputError, match="try raspberry-pi-4"):
        find("raspbery-pi-4")
