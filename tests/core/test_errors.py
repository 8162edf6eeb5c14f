from __future__ import annotations

import pytest

from edgecnn.core import errors
from edgecnn.core.errors import CheckFailed, EdgecnnError, InputError, Interrupted, MissingExtra


def test_an_error_says_what_where_and_what_to_do() -> None:
    error = InputError("expects 4 channels", where="a.tflite", fix="export it again")
    assert str(error) == "expects 4 channels in a.tflite: export it again"
    assert (error.what, error.where, error.fix) == (
        "expects 4 channels",
        "a.tflite",
        "export it again",
    )


def test_a_missing_package_says_which_install_brings_it() -> None:
    assert "pip install 'edgecnn[onnx]'" in str(MissingExtra("reading ONNX files", "onnx"))


@pytest.mark.parametrize(
    ("kind", "code"), [(EdgecnnError, 2), (InputError, 2), (CheckFailed, 1), (Interrupted, 3)]
)
def test_each_error_has_its_exit_code(kind: type[EdgecnnError], code: int) -> None:
    assert kind.exit_code == code


def test_all_errors_are_of_one_family() -> None:
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, Exception)]
    assert len(kinds) == 5
    assert all(issubclass(kind, EdgecnnError) for kind in kinds)


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("mobilnet_v2", "try mobilenet_v2"),
        ("xeption", "try xception"),
        ("zzz", "choose one of mobilenet_v2, xception"),
    ],
)
def test_an_unknown_name_is_offered_the_nearest(name: str, fix: str) -> None:
    error = errors.unknown("architecture", name, ["xception", "mobilenet_v2"], where="--arch")
    assert str(error) == f"no architecture {name!r} in --arch: {fix}"
