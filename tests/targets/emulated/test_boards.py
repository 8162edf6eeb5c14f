from __future__ import annotations

import pytest

from edgecnn.core.device import devices
from edgecnn.core.errors import InputError
from edgecnn.targets.emulated import BOARDS, EmulatedBoard, find


def test_the_boards_are_those_that_the_command_line_names() -> None:
    assert list(BOARDS) == ["pi4", "pi5", "pi-zero2w", "pi3-32bit"]
    assert find("pi4").target == "emulated:pi4"


def test_an_unknown_board_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match="try pi4"):
        find("p14")


@pytest.mark.parametrize("board", BOARDS.values(), ids=lambda board: board.name)
def test_a_board_is_what_its_profile_says(board: EmulatedBoard) -> None:
    profile = devices()[board.profile.removesuffix("-32bit")]
    assert board.clock_mhz == profile.cpu.clock_mhz
    assert profile.memory is not None
    assert board.memory_mb / 1000 in profile.memory.sizes_gb
    core = {"0xd03": "Cortex-A53", "0xd08": "Cortex-A72", "0xd0b": "Cortex-A76"}[board.part]
    assert profile.cpu.core.startswith(core)
    if board.system.qemu == "aarch64":
        assert board.qemu_cpu == core.lower()
        assert set(profile.cpu.features) <= set(board.features.split())
    assert board.model.startswith(profile.title.removesuffix("+"))


def test_a_32_bit_board_has_another_system() -> None:
    assert find("pi3-32bit").board.machine == "armv7l"
    assert find("pi3-32bit").system != find("pi4").system == find("pi5").system
