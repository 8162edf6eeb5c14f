"""Command lines that are wrong, and what is said about them."""

import pytest

from edgecnn.cli.parser import Parser, many, number, one_of, whole
from edgecnn.core.errors import InputError


def parser() -> Parser:
    made = Parser(prog="edgecnn try", allow_abbrev=False)
    made.add_argument("file")
    made.add_argument("--int8", action="store_true")
    made.add_argument("--threads", type=many(whole(1, 8)), default=(1,))
    made.add_argument("--drop", type=number(0, 100))
    made.add_argument("--format", type=many(one_of("format", "tflite", "onnx")))
    return made


def complaint(*words: str) -> str:
    with pytest.raises(InputError) as caught:
        parser().parse_all(words)
    return str(caught.value)


def test_lists_keep_their_order_and_lose_repetitions() -> None:
    assert parser().parse_all(["f", "--threads", "4,1,4"]).threads == (4, 1)


def test_names_may_have_spaces_around_them() -> None:
    assert parser().parse_all(["f", "--format", "onnx, tflite"]).format == ("onnx", "tflite")


def test_an_unknown_option_offers_the_nearest() -> None:
    assert complaint("f", "--int9") == "no option '--int9' in edgecnn try: try --int8"


def test_an_option_like_no_other_points_to_the_help() -> None:
    assert (
        complaint("f", "--zzzzz=1") == "no option '--zzzzz' in edgecnn try: see edgecnn try --help"
    )


def test_an_unknown_name_offers_the_nearest() -> None:
    assert complaint("f", "--format", "onx") == "no format 'onx' in the command line: try onnx"


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("a", "b"),
        ("a", "--threads", "0"),
        ("a", "--threads", "1,,2"),
        ("a", "--threads", "two"),
        ("a", "--drop", "nan"),
        ("a", "--drop", "-1"),
        ("a", "--int8=yes"),
        ("a", "--drop"),
        ("a", "--thr", "1"),
    ],
)
def test_what_is_missing_bad_or_too_much_is_one_line(words: tuple[str, ...]) -> None:
    assert "\n" not in complaint(*words)
