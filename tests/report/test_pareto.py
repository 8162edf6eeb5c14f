from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.core.measurement import Accuracy, Latency, Memory, PredictedMs, Prediction
from edgecnn.report import pareto
from edgecnn.report.pareto import Budget, Candidate, choose, front, overruns
from edgecnn.report.pareto_plot import front_svg
from edgecnn.report.pareto_text import front_table, unmeasured, verdict
from tests.report.samples import measurement


def candidate(
    name: str = "flowers-int8.tflite",
    *,
    ms: float = 2.0,
    mb: float = 50.0,
    top1: float = 0.8,
    threads: int = 1,
    n: int = 1000,
    reasons: tuple[str, ...] = (),
) -> Candidate:
    row = measurement(name, threads=threads, peak=mb, reasons=reasons)
    latency = Latency(init=1, first=1, warmup_runs=1, samples_ms=(ms,) * 64)
    return Candidate(
        row=dataclasses.replace(row, latency_ms=latency),
        checkpoint="flowers",
        accuracy=Accuracy(data="flowers", n=n, top1=top1),
        drop_points=100 * (0.82 - top1),
    )


def predicted(low: float, mid: float, high: float) -> Candidate:
    one = candidate()
    told = Prediction(measurements=40, median_factor=1.2, worst_factor=3.0, arena_mb=1.5)
    row = dataclasses.replace(
        one.row,
        target="predicted:pi4",
        latency_ms=None,
        memory_mb=None,
        predicted_ms=PredictedMs(low=low, mid=mid, high=high),
        prediction=told,
        valid=False,
        invalid_reasons=(told.sentence,),
    )
    return dataclasses.replace(one, row=row)


def counted(instructions: int) -> Candidate:
    one = candidate()
    row = dataclasses.replace(
        one.row,
        target="emulated:pi4",
        latency_ms=None,
        instructions=instructions,
        valid=False,
        invalid_reasons=("emulated: no latency, instructions instead",),
    )
    return dataclasses.replace(one, row=row)


_CANDIDATES = st.lists(
    st.builds(
        candidate,
        ms=st.sampled_from((1.0, 2.0, 3.0, 5.0)),
        mb=st.sampled_from((40.0, 50.0, 60.0)),
        top1=st.sampled_from((0.7, 0.75, 0.8, 0.82)),
        threads=st.sampled_from((1, 2, 4)),
        reasons=st.sampled_from(((), ("busy machine",))),
    ),
    max_size=8,
)
_BUDGETS = st.builds(
    Budget,
    latency_ms=st.sampled_from((None, 1.5, 4.0)),
    memory_mb=st.sampled_from((None, 45.0, 55.0)),
    drop_points=st.sampled_from((None, 0.0, 2.0, 10.0)),
)


@given(_CANDIDATES)
def test_nobody_on_the_front_is_beaten_and_everybody_off_it_is(some: list[Candidate]) -> None:
    kept = front(some)
    for one in some:
        beaten = any(pareto._dominates(other, one) for other in some)
        assert any(one is c for c in kept) != beaten
    assert [c.cost for c in kept] == sorted(c.cost or 0.0 for c in kept)


@given(_CANDIDATES, _BUDGETS)
def test_the_winner_keeps_to_the_budget_and_only_then_there_is_one(
    some: list[Candidate], budget: Budget
) -> None:
    choice = choose(some, budget)
    pool = [c for c in some if c.counts] or some
    fitting = [c for c in pool if not overruns(c, budget)]
    assert (choice.winner is not None) == bool(fitting)
    if choice.winner is not None:
        assert any(choice.winner is c for c in fitting)
        assert choice.nearest is None
    elif some:
        assert choice.nearest is not None
        assert choice.overruns


def test_a_row_that_cannot_be_trusted_never_beats_one_that_can() -> None:
    busy, quiet = candidate(ms=1.0, reasons=("busy machine",)), candidate(ms=2.0)
    assert choose([busy, quiet], Budget()).winner is quiet


def test_where_no_row_can_be_trusted_the_choice_says_so() -> None:
    choice = choose([candidate(reasons=("busy machine",))], Budget())
    assert choice.winner is not None
    assert not choice.trusted
    assert "no row can be trusted (busy machine)" in verdict(choice, Budget(), tried=1)[1]


def test_a_limit_on_the_drop_says_what_accuracy_is_worth() -> None:
    fast, right = candidate(ms=1.0, top1=0.80), candidate(ms=3.0, top1=0.82)
    assert choose([fast, right], Budget(drop_points=2.5)).winner is fast
    assert choose([fast, right], Budget()).winner is right
    assert choose([fast, right], Budget(latency_ms=2.0)).winner is fast


def test_of_equally_fast_rows_the_one_with_fewer_threads_wins() -> None:
    one, two = candidate(ms=2.04, threads=1), candidate(ms=2.0, threads=2)
    assert choose([two, one], Budget()).winner is one


def test_what_nobody_knows_keeps_to_no_limit() -> None:
    blank = candidate()
    row = dataclasses.replace(blank.row, memory_mb=None)
    assert "memory" in overruns(dataclasses.replace(blank, row=row), Budget(memory_mb=1e5))


def test_a_drop_at_the_limit_is_allowed() -> None:
    # 100 * (0.82 - 0.80) is 1.9999999999999907 or 2.0000000000000018, as the sums fall.
    assert not overruns(candidate(top1=0.80), Budget(drop_points=2.0))


def test_nothing_fits_and_the_nearest_is_told_with_what_it_misses() -> None:
    budget = Budget(latency_ms=1.0, memory_mb=20.0)
    near, far = candidate(ms=1.1, mb=21.0), candidate(ms=0.9, mb=60.0)
    choice = choose([far, near], budget)
    lines = verdict(choice, budget, tried=2)
    assert lines[0] == "nothing fits 1.00 ms, 20.0 MB: none of 2 rows"
    assert lines[1] == (
        "nearest: flowers-int8.tflite, litert, 1 thread: 1.10 ms where 1.00 ms are allowed "
        "and 21.0 MB of memory where 20.0 MB are allowed"
    )


def test_a_drop_that_is_less_than_one_photo_is_told() -> None:
    budget = Budget(drop_points=0.5)
    lines = verdict(choose([candidate(top1=0.82, n=100)], budget), budget, tried=1)
    assert "one photo of 100 is 1.00 points" in lines[1]


def test_a_prediction_is_called_one_with_its_range() -> None:
    one = predicted(10.0, 15.0, 22.0)
    budget = Budget(latency_ms=20.0)
    choice = choose([one], budget)
    assert choice.winner is one
    heads = [column.header for column in front_table(choice).columns]
    assert "predicted" in heads
    assert "median" not in heads
    assert "arena" in heads
    assert "range reaches to 22.0 ms" in verdict(choice, budget, tried=1)[1]
    assert "predicted latency, ms (nothing ran)" in front_svg([one], choice, budget, best_top1=0.82)


def test_instructions_are_never_a_latency() -> None:
    one = counted(3_759_889)
    choice = choose([one], Budget(instructions=4_000_000))
    assert choice.winner is one
    assert choice.trusted
    assert verdict(choice, Budget(instructions=4_000_000), tried=1) == [
        "take flowers-int8.tflite, litert, 1 thread: the fewest instructions at the best "
        "accuracy but 0.5 points, within 4,000,000 instructions"
    ]
    assert "instructions" in [column.header for column in front_table(choice).columns]
    drawing = front_svg([one], choice, Budget(instructions=4_000_000), best_top1=0.82)
    assert "latency" not in drawing


def test_rows_without_a_number_are_told_once_a_reason() -> None:
    lost = candidate(reasons=("crashed",))
    lost = dataclasses.replace(lost, row=dataclasses.replace(lost.row, latency_ms=None))
    choice = choose([lost], Budget())
    assert choice.winner is None
    assert verdict(choice, Budget(), tried=1) == ["nothing could be measured"]
    told = unmeasured([lost, lost])
    assert told == ["not measured: flowers-int8.tflite, litert, 1 thread and 1 more: crashed"]


@given(_CANDIDATES, _BUDGETS)
def test_every_search_can_be_drawn_and_each_member_is_in_the_key(
    some: list[Candidate], budget: Budget
) -> None:
    choice = choose(some, budget)
    drawing = front_svg(some, choice, budget, best_top1=0.82)
    assert drawing.count('class="key"') >= len(choice.front)
    assert "nan" not in drawing


@pytest.mark.parametrize("payload", ["<script>x</script>", '"><b>'])
def test_names_stay_text_in_the_drawing(payload: str) -> None:
    one = candidate()
    one = dataclasses.replace(one, row=dataclasses.replace(one.row, model=payload))
    assert payload not in front_svg([one], choose([one], Budget()), Budget(), best_top1=0.8)


def test_memory_of_a_row_is_its_process_and_its_arena_what_was_planned() -> None:
    one = candidate(mb=61.0)
    assert (one.memory_mb, one.arena_mb) == (61.0, 1.9)
    assert isinstance(one.row.memory_mb, Memory)
