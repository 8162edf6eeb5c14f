"""Intervals: seeded, bounded in work, and true about as often as they say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.report import bootstrap


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def share_covered(draws: list[tuple[tuple[float, float], float]]) -> float:
    return sum(low <= truth <= high for (low, high), truth in draws) / len(draws)


def test_the_interval_of_a_median_holds_the_truth_in_about_95_of_100_experiments() -> None:
    random, draws = rng(1), []
    truth = float(np.median(rng(9).gamma(2.0, 1.0, 1_000_000)))
    for _ in range(150):
        _, drawn = bootstrap.quantiles([random.gamma(2.0, 1.0, 200)], (0.5,), random)
        draws.append((bootstrap.interval(drawn[0]), truth))
    assert 0.89 <= share_covered(draws) <= 0.995


def test_noise_that_lasts_for_several_inferences_widens_the_interval() -> None:
    random = rng(2)
    plain = random.normal(10, 1, 1000)
    lasting = np.repeat(random.normal(10, 1, 100), 10)
    widths = []
    for samples in (plain, lasting):
        _, drawn = bootstrap.quantiles([samples], (0.5,), rng())
        widths.append(np.subtract(*bootstrap.interval(drawn[0])[::-1]))
    assert widths[1] > 1.5 * widths[0]


def test_runs_that_differ_widen_the_interval_more_than_samples_narrow_it() -> None:
    runs = [level + rng(i).normal(0, 0.01, 2000) for i, level in enumerate((4.0, 4.4, 4.2))]
    value, drawn = bootstrap.quantiles(runs, (0.5, 0.9), rng())
    low, high = bootstrap.interval(drawn[0])
    assert value[0] == pytest.approx(4.2, abs=0.01)
    assert high - low > 0.3


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9, 0.99])
def test_the_interval_of_a_share_holds_the_truth_in_about_95_of_100_experiments(
    share: float,
) -> None:
    random = rng(3)
    draws = [
        (bootstrap.interval(bootstrap.share(random.binomial(300, share) / 300, 300, random)), share)
        for _ in range(200)
    ]
    assert share_covered(draws) >= 0.9


def test_all_right_of_few_photos_is_not_certainty() -> None:
    low, high = bootstrap.interval(bootstrap.share(1.0, 20, rng()))
    assert low < 0.95
    assert high > 0.998


def test_a_paired_change_holds_the_truth_in_about_95_of_100_experiments() -> None:
    random, draws = rng(4), []
    for _ in range(300):
        gained, lost, _ = random.multinomial(500, (0.04, 0.08, 0.88))
        draws.append((bootstrap.interval(bootstrap.paired(gained, lost, 500, random)), -0.04))
    assert 0.91 <= share_covered(draws) <= 0.985


def test_one_value_has_no_interval_and_several_have() -> None:
    assert bootstrap.values([40.0], rng()) == (40.0, None)
    value, drawn = bootstrap.values([40.0, 41.0, 45.0], rng())
    assert value == 41.0
    assert drawn is not None
    assert bootstrap.interval(drawn) == (40.0, 45.0)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(1e-3, 1e4), min_size=1, max_size=50))
def test_replicates_stay_within_the_samples(samples: list[float]) -> None:
    value, drawn = bootstrap.quantiles([samples], (0.5, 0.9), rng())
    for each in (value, drawn):
        assert each.min() >= min(samples) * (1 - 1e-6)
        assert each.max() <= max(samples) * (1 + 1e-6)


@settings(max_examples=20, deadline=None)
@given(st.floats(-2, 3), st.integers(1, 10**9))
def test_any_share_gives_a_share(value: float, n: int) -> None:
    drawn = bootstrap.share(value, n, rng())
    assert np.all((drawn >= 0) & (drawn <= 1))


def test_the_same_seed_gives_the_same_interval() -> None:
    samples = rng(5).gamma(2.0, 1.0, 300)
    first, second = (bootstrap.quantiles([samples], (0.9,), rng())[1] for _ in range(2))
    assert np.array_equal(first, second)
