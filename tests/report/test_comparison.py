"""Two result sets, matched and compared."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.core.errors import InputError
from edgecnn.core.parity import Flip, Parity
from edgecnn.report.collect import Collected, Evaluation
from edgecnn.report.comparison import Change, Comparison, compare
from tests.report.samples import PHOTOS, artifact, flip, measurement, parity, sha_of

NAME = "flowers-int8.tflite"


def change(comparison: Comparison, metric: str) -> Change:
    return next(c for row in comparison.rows for c in row.changes if c.metric == metric)


def verified(flips: tuple[Flip, ...], *, reference: str | None = "abc") -> Collected:
    """A file that answers as its reference but for these photos."""
    right = round(0.82 * PHOTOS)
    right += sum(f.answer == f.label for f in flips) - sum(f.reference == f.label for f in flips)
    row = dataclasses.replace(
        parity().rows[3],
        flips=flips,
        n=PHOTOS,
        top1=right / PHOTOS,
        agreement_pct=100 * (1 - len(flips) / PHOTOS),
    )
    return Collected(
        parities=(dataclasses.replace(parity(), rows=(row,), reference_sha256=reference),)
    )


def test_rows_are_matched_by_file_and_setting() -> None:
    before = Collected(measurements=tuple(measurement(threads=n) for n in (1, 2)))
    after = Collected(measurements=tuple(measurement(threads=n) for n in (2, 4)))
    found = compare(before, after)
    assert [row.subject.label for row in found.rows] == [NAME, f"{NAME} (cpu, litert, 2 threads)"]
    assert [s.threads for s in found.only_before] == [1]
    assert [s.threads for s in found.only_after] == [4]


def test_all_that_a_folder_knows_of_a_file_is_compared(collected: Collected) -> None:
    metrics = {c.metric for row in compare(collected, collected).rows for c in row.changes}
    assert metrics == {"top1", "agreement", "size", "median", "p90", "memory"}


def test_a_change_is_told_in_its_unit_and_in_percent() -> None:
    found = compare(
        Collected(measurements=(measurement(bytes_=4_000_000),)),
        Collected(measurements=(measurement(bytes_=5_000_000),)),
    )
    size = change(found, "size")
    assert (size.change, size.change_pct, size.interval, size.verdict) == (1e6, 25, None, "worse")


def test_the_same_photos_give_a_narrower_interval_than_others() -> None:
    flips = tuple(flip(i) for i in range(11))
    same = change(compare(verified(flips[:5]), verified(flips)), "agreement")
    others = change(compare(verified(flips[:5]), verified(flips, reference="another")), "agreement")
    assert same.change == others.change == pytest.approx(-600 / PHOTOS)
    assert same.basis == f"the same {PHOTOS} photos"
    assert same.interval is not None
    assert others.interval is not None
    width = same.interval[1] - same.interval[0]
    assert width < 0.9 * (others.interval[1] - others.interval[0])


@settings(max_examples=25, deadline=None)
@given(st.sets(st.integers(0, 19)), st.sets(st.integers(0, 19)))
def test_a_paired_interval_holds_the_change_that_was_seen(old: set[int], new: set[int]) -> None:
    before, after = (verified(tuple(flip(i) for i in sorted(s))) for s in (old, new))
    found = compare(before, after)
    for metric in ("top1", "agreement"):
        seen = change(found, metric)
        assert seen.basis.startswith("the same")
        assert seen.interval is not None
        assert seen.interval[0] - 1e-9 <= seen.change <= seen.interval[1] + 1e-9


def test_lists_that_do_not_add_up_are_not_paired() -> None:
    before = verified(tuple(flip(i) for i in range(5)))
    row = dataclasses.replace(before.parities[0].rows[0], agreement_pct=50.0)
    after = Collected(parities=(dataclasses.replace(before.parities[0], rows=(row,)),))
    assert change(compare(before, after), "agreement").basis == f"{PHOTOS} photos"


def test_results_of_earlier_versions_say_nothing_of_their_reference() -> None:
    old = verified((), reference=None)
    assert change(compare(old, old), "agreement").basis == f"{PHOTOS} photos"
    assert Parity.__dataclass_fields__["reference_sha256"].default is None


def test_several_runs_show_the_noise_of_memory_and_of_processes() -> None:
    one, several = (
        Collected(
            measurements=tuple(
                dataclasses.replace(
                    measurement(median=4 * level, peak=50 * level), when=f"2026-03-14T15:0{i}:00"
                )
                for i, level in enumerate(levels)
            )
        )
        for levels in ((1.0,), (1.0, 1.1, 0.95))
    )
    assert change(compare(one, one), "memory").interval is None
    assert change(compare(several, several), "memory").interval is not None
    widths = [
        interval[1] - interval[0]
        for found in (one, several)
        if (interval := change(compare(found, found), "median").interval)
    ]
    assert widths[1] > 3 * widths[0]


def test_valid_runs_count_where_there_are_some() -> None:
    busy = dataclasses.replace(measurement(median=9, reasons=("busy machine",)), when="later")
    mixed = Collected(measurements=(measurement(), busy))
    found = compare(mixed, mixed)
    assert change(found, "median").before < 5
    assert not any(row.doubts for row in found.rows)


def test_scores_of_evaluate_are_compared() -> None:
    sets = [
        Collected(
            evaluations=(
                Evaluation(model="out/x.tflite", sha256=sha, split="test", n=100, top1=top1),
            )
        )
        for sha, top1 in (("a", 0.9), ("b", 0.95))
    ]
    found = change(compare(*sets), "top1")
    assert (found.before, found.after, found.basis) == (90, 95, "100 photos")
    assert found.verdict == "noise"


@pytest.mark.parametrize("other", ["exports", "parities", "measurements"])
def test_scores_of_evaluate_find_their_file_in_other_results(other: str) -> None:
    others = {
        "exports": Collected(artifacts=(artifact(NAME, 10, 0.8, 99.0),)),
        "parities": verified(()),
        "measurements": Collected(measurements=(measurement(NAME, top1=0.8),)),
    }
    scores = Evaluation(model=f"out/{NAME}", sha256="a", split="test", n=100, top1=0.9)
    (row,) = compare(Collected(evaluations=(scores,)), others[other]).rows
    assert [found.metric for found in row.changes] == ["top1"]


def test_an_accuracy_of_unknown_photos_has_no_interval() -> None:
    row = dataclasses.replace(artifact(NAME, 10, 0.8, 99.0), n=None)
    found = compare(Collected(artifacts=(row,)), Collected(artifacts=(row,)))
    assert change(found, "top1").interval is None


def test_two_files_of_one_name_in_a_set_are_refused() -> None:
    rows = tuple(dataclasses.replace(measurement(), sha256=sha_of(sha)) for sha in ("one", "other"))
    with pytest.raises(InputError, match=rf"two different files named {NAME} in results/"):
        compare(Collected(), Collected(measurements=rows), new="results/")


def test_another_runtime_and_other_photos_are_noted() -> None:
    before = measurement(top1=0.8)
    after = dataclasses.replace(before, runtime_version="3.0.0")
    accuracy = dataclasses.replace(before.accuracy, n=10)  # type: ignore[type-var]
    found = compare(
        Collected(measurements=(before,)),
        Collected(measurements=(dataclasses.replace(after, accuracy=accuracy),)),
    )
    notes = [note for row in found.rows for note in row.notes]
    assert notes == ["other photos: 759 before, 10 now", "runtime 2.3.0 before, 3.0.0 now"]


def test_the_same_sets_give_the_same_numbers(collected: Collected) -> None:
    assert compare(collected, collected) == compare(collected, collected)


def test_a_row_is_never_compared_with_one_of_another_batch_or_delegate() -> None:
    plain = measurement()
    others = [
        dataclasses.replace(plain, protocol={**plain.protocol, **option})
        for option in ({"batch": 8}, {"delegate": "none"}, {"pin": [0]})
    ]
    found = compare(Collected(measurements=(plain,)), Collected(measurements=tuple(others)))
    assert [row.subject.target for row in found.rows] == [None]
    assert [s.setting for s in found.only_after] == [
        "cpu, litert, 1 thread, batch 8",
        "cpu, litert, 1 thread, cores 0",
        "cpu, litert, 1 thread, delegate none",
    ]
