"""Kernels and operations, told apart by kind and order."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from edgecnn.bench.alignment import MAX_OPERATIONS, align, likeness_of

KERNELS = {
    "CONV_2D": "Fully Connected (NC, F32) GEMM",
    "DEPTHWISE_CONV_2D": "Convolution (NHWC, F32) DWConv",
    "ADD": "Add (ND)",
    "HARD_SWISH": "HardSwish (NC, F32)",
    "LOGISTIC": "Sigmoid (NC, F32)",
    "MEAN": "Mean (ND) Reduce2",
    "RESHAPE": "Static Reshape (NC)",
}


def test_a_depthwise_kernel_is_no_plain_convolution() -> None:
    assert likeness_of("Convolution (NHWC, F32) DWConv", "DEPTHWISE_CONV_2D")
    assert not likeness_of("Convolution (NHWC, F32) DWConv", "CONV_2D")
    assert likeness_of("Convolution (NHWC, QC8) IGEMM", "CONV_2D")


def test_kernels_that_bear_the_operation_s_name_need_no_table() -> None:
    assert likeness_of("HardSwish (NC, F32)", "HARD_SWISH")
    assert not likeness_of("HardSwish (NC, F32)", "ADD")


@given(st.lists(st.sampled_from(sorted(KERNELS)), max_size=30))
def test_kernels_in_the_file_s_order_find_their_operation(operations: list[str]) -> None:
    assert align([KERNELS[o] for o in operations], operations) == list(range(len(operations)))


@given(st.lists(st.tuples(st.sampled_from(["CONV_2D", "ADD", "MEAN"]), st.booleans()), max_size=20))
def test_operations_that_ran_nothing_are_passed_over(steps: list[tuple[str, bool]]) -> None:
    operations, kept = [], []
    for operation, unpacked in steps:
        operations += ["DEQUANTIZE"] * unpacked
        kept.append(len(operations))
        operations.append(operation)
    assert align([KERNELS[operations[place]] for place in kept], operations) == kept


def test_a_kernel_without_an_operation_goes_to_its_neighbour() -> None:
    kernels = [KERNELS["MEAN"], "Static Reshape (NC)", "Convert (NC, F32, QD8)", KERNELS["CONV_2D"]]
    assert align(kernels, ["MEAN", "FULLY_CONNECTED"]) == [0, 0, 1, 1]


def test_kernels_of_unknown_kinds_belong_to_nothing() -> None:
    assert align(["Flux Capacitor (NC)"], ["CONV_2D"]) == [None]
    assert align([], ["CONV_2D"]) == []
    assert align(["Add (ND)"], []) == [None]


def test_a_graph_without_end_costs_no_time() -> None:
    start = time.perf_counter()
    many = ["Add (ND)"] * (MAX_OPERATIONS + 1)
    assert align(many, ["ADD"] * 20_000) == [None] * len(many)
    assert time.perf_counter() - start < 1
