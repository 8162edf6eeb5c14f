"""Tensors of two files, told apart by name or by what they hold."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn.explain.matching import match

Photo = dict[str, np.ndarray]


def photos(seed: int, *shapes: tuple[int, ...], count: int = 2) -> list[Photo]:
    random = np.random.default_rng(seed)
    return [
        {f"t{i}": random.normal(size=shape).astype(np.float32) for i, shape in enumerate(shapes)}
        for _ in range(count)
    ]


def noisy(value: np.ndarray, share: float) -> np.ndarray:
    return value + share * np.random.default_rng(1).normal(size=value.shape).astype(np.float32)


SHAPES = ((1, 4, 4, 3), (1, 4, 4, 3), (1, 4, 4, 3), (1, 7))


@pytest.mark.parametrize("form", ["", "/integers", ":0", "_quantized"])
def test_one_name_is_one_tensor_whatever_its_form(form: str) -> None:
    ours = photos(0, *SHAPES)
    theirs = [{f"{name}{form}": noisy(v, 0.4) for name, v in photo.items()} for photo in ours]
    found = match(ours, theirs)
    assert {name: twin.name for name, twin in found.items()} == {n: f"{n}{form}" for n in ours[0]}
    assert {twin.found for twin in found.values()} == {"name"}


def test_other_names_are_found_by_their_values_each_once() -> None:
    ours = photos(0, *SHAPES)
    theirs = [{f"x{name}": noisy(v, 0.2) for name, v in reversed(photo.items())} for photo in ours]
    found = match(ours, theirs)
    assert {name: twin.name for name, twin in found.items()} == {n: f"x{n}" for n in ours[0]}
    assert {twin.found for twin in found.values()} == {"values"}


def test_planes_are_the_same_tensor_in_another_order() -> None:
    ours = photos(0, (1, 5, 6, 3))
    theirs = [{"y": noisy(photo["t0"], 0.1).transpose(0, 3, 1, 2)} for photo in ours]
    (twin,) = match(ours, theirs).values()
    assert twin.in_planes
    error = twin.arranged(theirs[0]["y"]) - ours[0]["t0"].reshape(-1)
    assert np.abs(error).max() < 1


def test_a_name_that_lies_is_not_believed() -> None:
    ours, others = photos(0, *SHAPES), photos(9, *SHAPES)
    assert match(ours, others) == {}


def test_of_two_layers_alike_the_nearer_one_gets_the_tensor() -> None:
    (first,) = photos(0, (1, 50), count=1)
    ours = [{"near": first["t0"], "far": noisy(first["t0"], 0.3)}]
    found = match(ours, [{"theirs": noisy(first["t0"], 0.01)}])
    assert [*found] == ["near"]


def test_nothing_but_zeros_looks_like_nothing() -> None:
    zeros = [{"a": np.zeros((1, 9), np.float32)}]
    assert match(zeros, [{"b": np.zeros((1, 9), np.float32)}]) == {}
