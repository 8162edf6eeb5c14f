"""Raspberry Pis in QEMU's user mode: a real ARM Debian behind a real SSH server on loopback.

What runs there is what runs on a board: the same wheels, the same kernels, the same files under
/proc and /sys. Times mean nothing; outputs, memory and counted instructions do.
"""

from edgecnn.targets.emulated.boards import BOARDS, EmulatedBoard, find
from edgecnn.targets.emulated.machine import Machine, start
from edgecnn.targets.emulated.target import EmulatedTarget

__all__ = ["BOARDS", "EmulatedBoard", "EmulatedTarget", "Machine", "find", "start"]
