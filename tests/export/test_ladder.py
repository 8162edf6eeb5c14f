"""The search for as little precision as a budget allows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgecnn.core.errors import InputError, Interrupted

pytestmark = pytest.mark.tensorflow

# Points that each rung loses, or what happens while it is measured.
DROPS: dict[str, Any] = {"nearest": 2.0, "compensated": 0.6, "mixed": 0.2, "trained": 0.4}


def search(
    folder: Path, limit: float, *, key: str = "model photos", compared: int = 0
) -> tuple[Any, str, list[str]]:
    """Climb a ladder whose rungs lose what `DROPS` says; return also which were measured."""
    from edgecnn.export.ladder import Rung, climb

    measured: list[str] = []

    def judge(name: str, plan: Any) -> Rung:
        measured.append(name)
        if isinstance(DROPS[name], BaseException):
            raise DROPS[name]
        return Rung(
            name=name,
            drop_points=DROPS[name],
            agreement_pct=100 - DROPS[name],
            bytes=1000,
            latency_ms=1.0,
            float_latency_ms=2.0,
        )

    found, plan = climb(
        iter([(name, lambda name=name: f"plan of {name}") for name in DROPS]),
        judge,
        limit_points=limit,
        record=folder / "ladder.json",
        key=key,
        compared=compared,
    )
    return found, plan, measured


@pytest.mark.parametrize(
    ("limit", "name"), [(5.0, "nearest"), (1.0, "compensated"), (0.3, "mixed")]
)
def test_the_first_rung_within_the_budget_is_taken(tmp_path: Path, limit: float, name: str) -> None:
    found, plan, measured = search(tmp_path, limit)
    assert found.reached
    assert plan == f"plan of {name}"
    assert measured == list(DROPS)[: list(DROPS).index(name) + 1]


def test_a_rung_that_only_compares_does_not_end_the_search(tmp_path: Path) -> None:
    found, plan, measured = search(tmp_path, 5.0, compared=1)
    assert found.reached
    assert plan == "plan of compensated"
    assert measured == ["nearest", "compensated"]


def test_a_rung_that_only_compares_is_taken_where_the_next_does_not_suffice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DROPS, "compensated", 2.5)
    found, plan, measured = search(tmp_path, 2.0, compared=1)
    assert found.reached
    assert plan == "plan of nearest"
    assert measured == ["nearest", "compensated"]


def test_the_best_is_kept_where_none_suffices(tmp_path: Path) -> None:
    found, plan, measured = search(tmp_path, 0.1)
    assert not found.reached
    assert plan == "plan of mixed"
    assert measured == list(DROPS)


def test_a_rung_that_cannot_be_made_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = InputError("1 photo", where="training", fix="give 4 or more")
    monkeypatch.setitem(DROPS, "trained", few)
    found, plan, _ = search(tmp_path, 0.1)
    assert (found.reached, plan) == (False, "plan of mixed")
    assert (
        "note: trained is left out: 1 photo in training: give 4 or more" in capsys.readouterr().err
    )
    monkeypatch.setitem(DROPS, "nearest", few)
    with pytest.raises(InputError, match="1 photo"):
        search(tmp_path, 0.1, key="another")


def test_rungs_that_were_measured_are_not_measured_again(tmp_path: Path) -> None:
    search(tmp_path, 1.0)
    found, plan, measured = search(tmp_path, 0.3)
    assert measured == ["mixed"]
    assert [rung.name for rung in found.rungs] == ["nearest", "compensated", "mixed"]
    assert plan == "plan of mixed"


def test_another_model_or_other_photos_begin_anew(tmp_path: Path) -> None:
    search(tmp_path, 1.0)
    assert search(tmp_path, 1.0, key="another")[2] == ["nearest", "compensated"]


def test_a_record_of_another_kind_is_named(tmp_path: Path) -> None:
    (tmp_path / "ladder.json").write_text('{"schema": "edgecnn/export/1"}')
    with pytest.raises(InputError, match=r"ladder\.json: remove it"):
        search(tmp_path, 1.0)


def test_a_record_cut_short_is_named(tmp_path: Path) -> None:
    search(tmp_path, 1.0)
    whole = (tmp_path / "ladder.json").read_text()
    (tmp_path / "ladder.json").write_text(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"ladder\.json: remove it"):
        search(tmp_path, 1.0)


def test_an_interrupted_search_says_what_it_keeps_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DROPS, "compensated", KeyboardInterrupt())
    with pytest.raises(Interrupted, match=r"^1 rung measured and kept: type the same command"):
        search(tmp_path, 0.3)
    monkeypatch.setitem(DROPS, "compensated", 0.6)
    assert search(tmp_path, 0.3)[2] == ["compensated", "mixed"]


def test_an_interruption_before_the_first_rung_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DROPS, "nearest", KeyboardInterrupt())
    with pytest.raises(Interrupted, match=r"^type the same command to begin again"):
        search(tmp_path, 0.3)
    assert not list(tmp_path.iterdir())


def test_a_rung_says_what_it_gained_and_what_it_costs(tmp_path: Path) -> None:
    found, _, _ = search(tmp_path, 5.0)
    assert found.best.to_text() == (
        "nearest: drop +2.00 points, 98.00 % of the answers as in float, 0.00 MB, "
        "0.50 of float's latency"
    )


def test_a_budget_and_training_exclude_each_other() -> None:
    from edgecnn.export import Options

    with pytest.raises(InputError, match="both --qat and --max-drop"):
        Options(schemes=("int8",), qat=2, max_drop=1.0)
