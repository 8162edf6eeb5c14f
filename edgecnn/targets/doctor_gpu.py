"""What `doctor` says of this machine's GPU."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence

from edgecnn.bench.vulkan import SOFTWARE
from edgecnn.targets.findings import Finding

# A driver is native code that may crash: it's asked in a process of its own.
_ASK = (
    "import json; from edgecnn.bench import gpu_runtimes as g, vulkan as v; "
    "print(json.dumps([v.vulkan_devices(), g.nvidia_card().get('gpu', '')]))"
)
_SECONDS = 60
_DRIVER = "install the card's driver, and libvulkan1 (Debian)"


def gpu_findings() -> Iterator[Finding]:
    """Yield what Vulkan, which LiteRT needs, and CUDA would run on."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _ASK],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        )
    except subprocess.SubprocessError:
        yield Finding("Vulkan", "error", "a driver that crashes or hangs when it's asked", _DRIVER)
        return
    devices, card = json.loads(done.stdout.splitlines()[-1])
    yield _vulkan(devices, has_other=bool(card))
    if card:
        yield Finding("CUDA", "ok", f"{card}, for ONNX Runtime and TensorFlow built for it")


def _vulkan(devices: Sequence[tuple[str, str]], *, has_other: bool) -> Finding:
    if real := [name for name, kind in devices if kind != SOFTWARE]:
        return Finding("Vulkan", "ok", " or ".join(real))
    if devices:
        names = " or ".join(name for name, _ in devices)
        what = f"{names}, a program on the CPU: its times say nothing of a GPU"
        return Finding("Vulkan", "warning", what, _DRIVER)
    what = "no device that LiteRT could run on"
    return (
        Finding("Vulkan", "note", what) if has_other else Finding("Vulkan", "error", what, _DRIVER)
    )
