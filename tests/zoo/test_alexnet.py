from __future__ import annotations

import keras
import pytest

from edgecnn import zoo

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize(
    ("arch", "sides"),
    [
        ("alexnet", [55, 27, 27, 13, 13, 13, 13, 6]),  # Krizhevsky et al. 2012, figure 2
        ("zfnet", [110, 55, 26, 13, 13, 13, 13, 6]),  # arXiv:1311.2901, figure 3
    ],
)
def test_maps_have_the_sides_of_the_papers_figure(arch: str, sides: list[int]) -> None:
    side = zoo.find(arch).default_size
    with keras.StatelessScope(initialize_variables=False):
        body = zoo.build(arch, shape=(side, side, 3))
    maps = [layer for layer in body.layers if layer.name.endswith(("_conv", "_pool"))]
    assert [layer.output.shape[1] for layer in maps] == sides


@pytest.mark.parametrize("arch", ["alexnet", "zfnet", "lenet5", "inception_v4", "tutorial_cnn"])
def test_one_pixel_less_than_the_least_leaves_nothing_to_convolve(arch: str) -> None:
    side = zoo.find(arch).min_size - 1
    with (
        keras.StatelessScope(initialize_variables=False),
        pytest.raises(ValueError, match=r"negative dimension|Computed output size"),
    ):
        zoo.find(arch).body(keras.Input((side, side, 3)), 1.0)
