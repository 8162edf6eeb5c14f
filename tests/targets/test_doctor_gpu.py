"""Doctor's look at a GPU: a real one, a program that plays one, none."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from edgecnn.targets.doctor import examine

DRIVER = Path("/usr/lib/chromium/vk_swiftshader_icd.json")


@pytest.mark.vulkan
def test_a_program_on_the_cpu_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        ctypes.CDLL("libvulkan.so.1")
    except OSError:
        pytest.skip("no Vulkan loader: install libvulkan1")
    if not DRIVER.is_file():
        pytest.skip("no software Vulkan device: install chromium")
    monkeypatch.setenv("VK_DRIVER_FILES", str(DRIVER))
    first = examine("gpu").findings[0]
    assert first.level == "warning"
    assert first.what.startswith("SwiftShader")


def test_no_driver_is_said_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VK_DRIVER_FILES", str(tmp_path / "nothing.json"))
    monkeypatch.setenv("PATH", str(tmp_path))
    told = examine("gpu")
    assert not told.usable
    assert "libvulkan1" in told.findings[0].fix
