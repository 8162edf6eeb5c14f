"""Which devices Vulkan reaches: WebGPU runs on one of them, and not every runtime tells which."""

from __future__ import annotations

import ctypes
import ctypes.util
from typing import Any

# VkPhysicalDeviceType, from the Vulkan specification.
SOFTWARE = "CPU / software"
KINDS = ("other", "integrated GPU", "discrete GPU", "virtual GPU", SOFTWARE)
_INSTANCE_CREATE_INFO = 1
_PROPERTIES_BYTES, _KIND_AT, _NAME_AT = 4096, 16, 20
_MOST = 16


class _InstanceCreateInfo(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("flags", ctypes.c_uint32),
        ("application", ctypes.c_void_p),
        ("layer_count", ctypes.c_uint32),
        ("layers", ctypes.c_void_p),
        ("extension_count", ctypes.c_uint32),
        ("extensions", ctypes.c_void_p),
    ]


def vulkan_devices() -> list[tuple[str, str]]:
    """Return name and kind of each device; empty without Vulkan or without a driver."""
    try:
        vulkan = ctypes.CDLL("libvulkan.so.1")
    except OSError:
        return []
    instance, how = ctypes.c_void_p(), _InstanceCreateInfo(type=_INSTANCE_CREATE_INFO)
    if vulkan.vkCreateInstance(ctypes.byref(how), None, ctypes.byref(instance)):
        return []
    try:
        count, found = ctypes.c_uint32(_MOST), (ctypes.c_void_p * _MOST)()
        # VK_INCOMPLETE, a positive number, is fine: so many are enough.
        if vulkan.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), found) < 0:
            return []
        return [_about(vulkan, found[at]) for at in range(count.value)]
    finally:
        vulkan.vkDestroyInstance(instance, None)


def _about(vulkan: Any, device: int | None) -> tuple[str, str]:
    told = ctypes.create_string_buffer(_PROPERTIES_BYTES)
    vulkan.vkGetPhysicalDeviceProperties(ctypes.c_void_p(device), told)
    kind = int.from_bytes(told.raw[_KIND_AT : _KIND_AT + 4], "little")
    name = told.raw[_NAME_AT : _NAME_AT + 256].partition(b"\0")[0].decode("utf-8", "replace")
    return name, KINDS[kind] if kind < len(KINDS) else KINDS[0]
