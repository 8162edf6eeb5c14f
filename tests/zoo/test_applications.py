from __future__ import annotations

import keras
import pytest

from edgecnn import zoo

pytestmark = pytest.mark.tensorflow


def names(arch: str) -> list[str]:
    side = zoo.find(arch).min_size
    with keras.StatelessScope(initialize_variables=False):
        return [layer.name for layer in zoo.build(arch, shape=(side, side, 3)).layers]


def test_layers_that_keras_leaves_nameless_have_the_same_names_in_each_network() -> None:
    first, second = names("inception_v3"), names("inception_v3")
    assert first == second
    assert {"layer1_conv", "layer1_bn", "layer1_relu", "layer94_relu"} <= set(first)
    assert not [name for name in first if name.startswith(("conv2d", "batch", "activation"))]


@pytest.mark.parametrize("arch", ["vgg16", "resnet50", "inception_v3"])
def test_wrapped_network_is_one_flat_graph_behind_our_pixels(arch: str) -> None:
    side = zoo.find(arch).min_size
    with keras.StatelessScope(initialize_variables=False):
        body = zoo.build(arch, shape=(side, side, 3))
    assert [layer.name for layer in body.layers[:2]] == ["image", "normalize"]
    assert not [layer for layer in body.layers if isinstance(layer, keras.Model)]


@pytest.mark.parametrize(
    ("arch", "cuts", "first_block"),
    [
        ("vgg16", 5, "block1_pool"),
        ("resnet50", 2 + 16, "conv2_block1_out"),
        ("inception_v3", 7 + 11, "mixed0"),
    ],
)
def test_wrapped_network_can_be_cut_after_each_block(
    arch: str, cuts: int, first_block: str
) -> None:
    side = zoo.find(arch).min_size
    with keras.StatelessScope(initialize_variables=False):
        places = zoo.cut_points(zoo.build(arch, shape=(side, side, 3)))
    assert len(places) == cuts
    assert first_block in places
