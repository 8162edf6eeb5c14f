"""What a gate is, and when it breaks."""

import contextlib
import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.core.errors import InputError
from edgecnn.core.measurement import Latency, Measurement
from edgecnn.report import gates
from edgecnn.report.collect import Collected
from edgecnn.report.comparison import compare
from tests.report.samples import measurement

ALL = ("median:1%", "p90:5%", "memory:2MB", "size:1%", "top1:0.5")


def rulings(before: Measurement, after: Measurement, *texts: str) -> list[gates.Ruling]:
    sets = (Collected(measurements=(row,)) for row in (before, after))
    return list(gates.judge(compare(*sets), [gates.parse(text) for text in texts]))


def statuses(before: Measurement, after: Measurement, *texts: str) -> list[str]:
    return [ruling.status for ruling in rulings(before, after, *texts)]


def slower(row: Measurement, factor: float) -> Measurement:
    assert row.latency_ms is not None
    samples = tuple(factor * x for x in row.latency_ms.samples_ms)
    latency = dataclasses.replace(row.latency_ms, samples_ms=samples)
    return dataclasses.replace(row, latency_ms=latency)


def noisy(level: float, seed: int) -> Measurement:
    random = np.random.default_rng(seed)
    samples = tuple(map(float, level * random.uniform(0.5, 1.5, 64)))
    latency = Latency(init=1.0, first=1.0, warmup_runs=1, samples_ms=samples)
    return dataclasses.replace(measurement(), latency_ms=latency)


@pytest.mark.parametrize(
    ("text", "limit", "percent", "kind"),
    [
        ("p90:5%", 5, True, "change"),
        ("median:200us", 0.2, False, "change"),
        (" memory : 2 MB ", 2, False, "change"),
        ("size:10kB", 10_000, False, "change"),
        ("top1:0.5", 0.5, False, "change"),
        ("instructions:0.1%", 0.1, True, "change"),
        ("agreement>=99", 99, False, "bound"),
        ("agreement>=99%", 99, False, "bound"),
        ("p90<=20ms", 20, False, "bound"),
        ("instructions<=3000000", 3e6, False, "bound"),
    ],
)
def test_a_gate_is_read(text: str, limit: float, percent: bool, kind: str) -> None:
    gate = gates.parse(text)
    assert gate.limit == pytest.approx(limit)
    assert (gate.percent, gate.kind) == (percent, kind)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("p90", "write p90:5%"),
        ("p9:5%", "try p90"),
        ("p90:1.2.3%", "write p90:5%"),
        ("p90:5", "give us, µs, ms, s, %"),
        ("p90:5MB", "the unit 'MB'"),
        ("top1:1%", "give points: top1:0.5"),
        ("agreement:99", "agreement>=99"),
        ("agreement<=99", "write agreement>=99"),
        ("p90>=5ms", "write p90<=5ms"),
        ("p90<=5%", "a bound in percent"),
        ("p90:-5%", "write p90:5%"),
        ("p90:nan%", "write p90:5%"),
        ("", "write p90:5%"),
    ],
)
def test_a_limit_that_would_not_do_what_it_seems_to_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError) as raised:
        gates.parse(text)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@given(st.text(max_size=12))
def test_any_text_is_a_gate_or_one_line(text: str) -> None:
    with contextlib.suppress(InputError):
        assert gates.parse(text).limit >= 0


@settings(max_examples=15, deadline=None)
@given(st.floats(0.01, 500), st.integers(2, 300), st.floats(0, 1), st.sampled_from(["0", "0.001"]))
def test_identical_sets_never_break_a_gate(ms: float, runs: int, top1: float, limit: str) -> None:
    row = measurement(median=ms, runs=runs, top1=top1)
    texts = (f"median:{limit}%", f"p90:{limit}ms", "memory:0MB", "size:0%", f"top1:{limit}")
    assert "broken" not in statuses(row, row, *texts)


@settings(max_examples=15, deadline=None)
@given(st.floats(1.4, 50), st.floats(0.05, 500))
def test_a_shift_far_beyond_the_noise_always_breaks_a_gate(factor: float, ms: float) -> None:
    row = measurement(median=ms)
    assert statuses(row, slower(row, factor), "median:5%", "p90:5%") == ["broken", "broken"]
    assert statuses(slower(row, factor), row, "median:5%", "p90:5%") == ["passed", "passed"]


def test_noise_beyond_the_limit_rarely_breaks_a_gate() -> None:
    found = [rulings(noisy(10, 2 * s), noisy(10, 2 * s + 1), "median:1%")[0] for s in range(60)]
    broken = sum(ruling.status == "broken" for ruling in found)
    assert broken <= 4  # 1.5 are to be expected of 95 % intervals
    assert any("no larger than the noise" in ruling.detail for ruling in found)


def test_an_invalid_latency_is_not_judged_but_its_size_is() -> None:
    doubtful = measurement(reasons=("busy machine",), bytes_=9_000_000)
    latency, size = rulings(measurement(), slower(doubtful, 9.0), "p90:5%", "size:1%")
    assert (latency.status, size.status) == ("not judged", "broken")
    assert "busy machine" in latency.detail


def test_latencies_of_two_cpus_are_not_judged() -> None:
    row = measurement()
    other = dataclasses.replace(row, machine={**row.machine, "cpu": "Cortex-A76"})
    (ruling,) = rulings(row, slower(other, 3), "median:5%")
    assert ruling.status == "not judged"
    assert "Cortex-A76 now" in ruling.detail


def test_too_few_runs_for_a_percentile_are_said_to_be_so() -> None:
    (ruling,) = rulings(measurement(), measurement(runs=20), "p90:5%")
    assert ruling.status == "not judged"
    assert "fewer than 64" in ruling.detail


def test_a_file_that_vanished_does_not_pass() -> None:
    before = Collected(measurements=(measurement(), measurement("flowers-float32.tflite")))
    after = Collected(measurements=(measurement(),))
    found = gates.judge(compare(before, after), [gates.parse("p90:5%")])
    assert [ruling.status for ruling in found] == ["passed", "not judged"]


def test_instructions_need_no_noise() -> None:
    rows = [
        dataclasses.replace(measurement(), target="emulated:pi4", latency_ms=None, instructions=n)
        for n in (3_759_889, 3_763_649)
    ]
    assert statuses(*rows, "instructions:0.1%") == ["broken"]
    assert statuses(*rows, "instructions:0.2%") == ["passed"]


def test_a_bound_looks_at_the_new_value_and_its_noise() -> None:
    row = measurement(top1=0.80)
    assert statuses(row, row, "top1>=79", "top1>=81", "top1>=90") == ["passed", "passed", "broken"]
    assert statuses(row, row, "median<=20ms", "median<=1ms") == ["passed", "broken"]


def test_a_gate_that_saw_nothing_is_blind() -> None:
    found = rulings(measurement(), measurement(), "instructions:1%", "size:1%")
    asked = [gates.parse(text) for text in ("instructions:1%", "size:1%")]
    assert [gate.metric for gate in gates.blind(asked, found)] == ["instructions"]
