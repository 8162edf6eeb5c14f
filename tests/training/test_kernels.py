from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from edgecnn import zoo
from edgecnn.training.folded import fold
from edgecnn.training.kernels import chosen, kernels_of, report

pytestmark = pytest.mark.tensorflow


def test_the_ends_and_depthwise_kernels_are_spared(separable_network: Any) -> None:
    found = {(k.layer, k.name): k.spared for k in kernels_of(separable_network, "inner")}
    assert found == {
        ("stem", "kernel"): "the first layer",
        ("depthwise", "kernel"): "depthwise",
        ("project", "kernel"): None,
        ("separable", "depthwise_kernel"): "depthwise",
        ("separable", "pointwise_kernel"): None,
        ("logits", "kernel"): "the last layer",
    }


def test_all_means_all(separable_network: Any) -> None:
    assert all(kernel.spared is None for kernel in kernels_of(separable_network, "all"))


def test_the_copy_that_learns_has_the_same_kernels(separable_network: Any) -> None:
    copy = fold(separable_network)
    found = chosen(copy.layers, kernels_of(separable_network, "inner"))
    assert [variable.name for variable in found] == ["kernel", "pointwise_kernel"]
    assert found[0] is copy.get_layer("project").weights[0]


def test_layers_that_stay_frozen_have_no_kernels_to_compress(separable_network: Any) -> None:
    kernels = kernels_of(separable_network, "inner")
    upper = [separable_network.get_layer("separable"), separable_network.get_layer("logits")]
    assert [variable.name for variable in chosen(upper, kernels)] == ["pointwise_kernel"]


def test_a_row_counts_weights_zeros_and_values(separable_network: Any) -> None:
    rows = {(row.layer, row.kernel): row for row in report(kernels_of(separable_network, "inner"))}
    stem = rows["stem", "kernel"]
    assert stem.weights == 3 * 3 * 3 * 8
    assert stem.zeros == 3 * 3 * 3  # one filter is dead
    assert stem.distinct == len(np.unique(separable_network.get_layer("stem").kernel))


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "resnet18"])
def test_every_family_has_inner_kernels(name: str) -> None:
    size = max(32, zoo.find(name).min_size)
    model = zoo.attach_head(zoo.build(name, shape=(size, size, 3)), 3)
    kernels = kernels_of(model, "inner")
    assert kernels[0].spared == "the first layer"
    assert (kernels[-1].layer, kernels[-1].spared) == ("logits", "the last layer")
    compressed = sum(np.prod(k.variable.shape) for k in kernels if k.spared is None)
    assert compressed > 0.8 * sum(np.prod(k.variable.shape) for k in kernels)
