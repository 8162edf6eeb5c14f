from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgecnn import targets
from edgecnn.core.errors import InputError


def test_cpu_is_this_machine_with_this_interpreter() -> None:
    target = targets.parse("cpu")
    assert target.place.name == "cpu"
    assert target == targets.CpuTarget(Path(sys.executable))


def test_another_environments_interpreter_can_be_named() -> None:
    assert targets.parse("cpu", python=Path("/opt/python")) == targets.CpuTarget(
        Path("/opt/python")
    )


@pytest.mark.parametrize("text", ["ssh:", "ssh", "emulated", "predicted:", "gpu:0"])
def test_half_a_target_is_refused_with_the_whole(text: str) -> None:
    with pytest.raises(InputError, match=f"target '{text}' in --target: write it as "):
        targets.parse(text)


@pytest.mark.parametrize("text", ["cpus", "cpu:0", "", "shh:board", "../cpu"])
def test_an_unknown_target_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(InputError, match=r"(try|choose one of) "):
        targets.parse(text)
