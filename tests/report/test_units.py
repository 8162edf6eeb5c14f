import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.report import units


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "0 ms"),
        (0.0423, "0.0423 ms"),
        (0.842, "0.842 ms"),
        (4.2, "4.20 ms"),
        (12.34, "12.3 ms"),
        (4035.0, "4035 ms"),
        (12_340.0, "12.3 s"),
    ],
)
def test_times_have_three_digits(value: float | None, text: str) -> None:
    assert units.milliseconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (812, "812 B"), (93_000, "93.0 kB"), (999_999, "1.0 MB"), (3_400_000, "3.4 MB"),
     (153e6, "153 MB"), (1.2e9, "1.2 GB")],
)  # fmt: skip
def test_sizes_are_in_powers_of_ten(value: float, text: str) -> None:
    assert units.bytes_(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(98.34, "98.3 %"), (99.97, "99.97 %"), (99.9999, "99.99 %"), (100.0, "100 %"), (0.0, "0.0 %")],
)
def test_only_all_is_a_hundred_percent(value: float, text: str) -> None:
    assert units.percent(value) == text


@given(st.floats(0, 100, exclude_max=True))
def test_no_share_is_rounded_up_to_all(value: float) -> None:
    assert float(units.percent(value).rstrip(" %")) < 100


@given(st.floats(1e-4, 9_999))
def test_times_lose_less_than_a_percent(value: float) -> None:
    assert math.isclose(float(units.milliseconds(value).split()[0]), value, rel_tol=0.0051)


def test_differences_carry_their_sign() -> None:
    assert [units.points(x) for x in (0.44, -0.44, 0.01, -0.01)] == ["+0.4", "-0.4", "0.0", "0.0"]


def test_counts_are_words() -> None:
    assert units.plural(1, "photo") == "1 photo"
    assert units.plural(1200, "class", "classes") == "1,200 classes"
    assert units.rough(3_377_413) == "3.38 M"
    assert units.rough(999) == "999"
    assert (units.seconds(4.21), units.seconds(83), units.seconds(730)) == (
        "4.2 s",
        "83 s",
        "12 min",
    )
    assert (units.times(3.84), units.times(12.4), units.times(1.04)) == ("3.8", "12", "1.04")
