from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgecnn.bench import machine


def moment(**changed: Any) -> dict[str, Any]:
    start: dict[str, Any] = {
        "wall_s": 0.0,
        "busy_s": 0.0,
        "steal_s": 0.0,
        "own_s": 0.0,
        "waited_s": {},
        "clock_mhz": 1800.0,
        "temperature_c": 50.0,
        "throttle_count": 0.0,
        "pi_throttled": 0,
    }
    return {**start, **changed}


def test_time_of_other_processes_is_what_is_busy_less_what_is_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    told = machine.change(
        moment(),
        moment(wall_s=10.0, busy_s=18.0, own_s=10.0, steal_s=2.0, waited_s={"7": 1.0, "8": 0.2}),
    )
    assert told["others_share"] == 0.2
    assert told["steal_share"] == 0.05
    assert told["waiting_share"] == 0.1


def test_of_several_threads_the_one_that_waited_most_counts() -> None:
    before = moment(waited_s={"1": 5.0, "2": 0.0})
    after = moment(wall_s=10.0, waited_s={"1": 5.1, "2": 3.0, "3": 1.0})
    assert machine.change(before, after)["waiting_share"] == 0.3


def test_what_the_machine_does_not_tell_is_null() -> None:
    nan = float("nan")
    told = machine.change(
        moment(busy_s=nan, steal_s=nan, clock_mhz=None, temperature_c=None),
        moment(wall_s=1.0, busy_s=nan, steal_s=nan, clock_mhz=None),
    )
    assert told["others_share"] is told["steal_share"] is told["waiting_share"] is None
    assert told["clock_mhz"] is None


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        (0, 0, []),
        (0, 0b0100, ["throttled"]),
        (0b0001, 0b0001, ["under-voltage"]),
        (0, 0x20000, ["clock capped"]),  # happened and passed within the run
        (0x50000, 0x50000, []),  # happened long before
    ],
)
def test_a_raspberry_pi_names_what_throttles_it_now(
    before: int, after: int, names: list[str]
) -> None:
    assert machine.throttling(moment(pi_throttled=before), moment(pi_throttled=after)) == names


def test_an_x86_core_that_throttled_meanwhile_is_named() -> None:
    told = machine.throttling(moment(throttle_count=3.0), moment(throttle_count=4.0))
    assert told == ["thermal throttling"]


def test_this_machine_tells_its_facts() -> None:
    facts = machine.machine_facts()
    assert facts["arch"]
    assert facts["cores"] >= 1
    assert facts["python"].startswith("3.")


@pytest.mark.parametrize(("told", "bits"), [("throttled=0x50005", 0x50005), ("nonsense", 0)])
def test_a_raspberry_pis_firmware_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str, bits: int
) -> None:
    program = tmp_path / "vcgencmd"
    program.write_text(f"#!/bin/sh\necho {told}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.pi_throttled() == bits
    monkeypatch.setenv("PATH", "")
    assert machine.pi_throttled() == 0


def powercap(root: Path, **microjoules: str) -> str:
    """Write zones as Linux shows them: processors, and parts of them."""
    for index, (name, energy) in enumerate(microjoules.items()):
        zone = root / f"intel-rapl:{index}"
        zone.mkdir(parents=True, exist_ok=True)
        (zone / "name").write_text(name.replace("_", "-") + "\n")
        (zone / "energy_uj").write_text(energy)
        (zone / "max_energy_range_uj").write_text("1000000\n")
    return str(root)


def test_energy_is_that_of_whole_processors(tmp_path: Path) -> None:
    root = powercap(tmp_path, package_0="400\n", psys="77\n", package_1="500\n")
    found = machine.energy_uj(root)
    assert sorted(found.values()) == [(400, 1e6), (500, 1e6)]


def test_energy_adds_up_over_processors_and_over_a_counter_that_began_anew() -> None:
    before = {"a": (100.0, 1e6), "b": (999_000.0, 1e6)}
    after = {"a": (5_100.0, 1e6), "b": (2_000.0, 1e6)}
    assert machine.spent_mj(before, after) == 5.0 + 3.0


@pytest.mark.parametrize("told", ["", "nonsense"])
def test_energy_that_nobody_tells_is_absent_not_zero(tmp_path: Path, told: str) -> None:
    assert machine.energy_uj(powercap(tmp_path, package_0=told)) == {}
    assert machine.energy_uj(str(tmp_path / "nowhere")) == {}
    assert machine.spent_mj({}, {}) is None


def test_a_process_that_is_not_to_be_pinned_keeps_its_cores() -> None:
    before = machine.machine_facts()["affinity"]
    machine.pin([])
    machine.pin(None)
    assert machine.machine_facts()["affinity"] == before
