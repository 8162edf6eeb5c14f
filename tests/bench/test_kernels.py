from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.bench import kernels
from edgecnn.bench.kernels import Kernel, Run
from edgecnn.bench.worker import WorkerError


def test_the_middle_half_is_deaf_to_outliers() -> None:
    assert kernels.middle([1.0, 2.0, 2.0, 3.0, 900.0, 2.0, 2.0, 0.0]) == 2.0


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_the_middle_lies_within_the_values(values: list[float]) -> None:
    assert min(values) * (1 - 1e-9) <= kernels.middle(values) <= max(values) * (1 + 1e-9)


def test_runs_with_other_kernels_than_most_do_not_count() -> None:
    usual, odd = Kernel("a", "", 0, None), Kernel("b", "", 0, None)
    runs = [Run(3.0, [(usual, 2.0)])] * 3 + [Run(90.0, [(odd, 90.0)])]
    found = kernels.summary(runs)
    assert (found["runs"], found["inference_ms"], found["outside_ms"]) == (3, 3.0, 1.0)
    assert [kernel["kernel"] for kernel in found["kernels"]] == ["a"]


@pytest.mark.parametrize("runs", [[], [Run(1.0, [])]])
def test_a_profiler_that_saw_nothing_is_none(runs: list[Any]) -> None:
    with pytest.raises(WorkerError, match="told of no"):
        kernels.summary(runs)
