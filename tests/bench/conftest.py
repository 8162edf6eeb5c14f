"""What the tests of this room share: a protocol that is over at once, and stand-in interpreters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgecnn.bench import Protocol


@pytest.fixture
def quick() -> Protocol:
    return Protocol(seconds=0, runs=3, warmup_seconds=0, warmup_runs=1)


@pytest.fixture
def interpreter(tmp_path: Path) -> Callable[[str], Path]:
    """Make a program that behaves as told where a Python is expected."""

    def make(script: str) -> Path:
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\ncat > {tmp_path}/request.json\n{script}\n")
        path.chmod(0o755)
        return path

    return make
