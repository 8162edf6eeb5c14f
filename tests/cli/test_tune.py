"""The arguments of `tune`: what each list takes."""

from typing import Any

import pytest

from edgecnn import cli
from edgecnn.core.errors import InputError


def parsed(*words: str) -> Any:
    return cli.build_parser("tune").parse_all(["run", "--target", "cpu", "--out", "o", *words])


def test_widths_and_sizes_are_lists_each_value_once() -> None:
    args = parsed("--alpha", "0.5,0.50,1", "--size", "96, 128")
    assert (args.alpha, args.size) == ((0.5, 1.0), (96, 128))


def test_without_widths_and_sizes_nothing_is_trained() -> None:
    assert (parsed().alpha, parsed().size) == ((), ())


@pytest.mark.parametrize(
    ("name", "value"),
    [("--alpha", text) for text in ("0", "-1", "nan", "wide", "0.5,", "5")]
    + [("--size", text) for text in ("0", "7", "96.5", "", "5000")],
)
def test_a_width_or_size_that_is_none_is_refused(name: str, value: str) -> None:
    with pytest.raises(InputError, match=name):
        parsed(name, value)
