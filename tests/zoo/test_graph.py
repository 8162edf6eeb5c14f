from __future__ import annotations

import numpy as np
import pytest

from edgecnn import zoo

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize("name", ["ds_cnn", "efficientnet_lite0", "mobilenet_v2", "xception"])
def test_each_cut_gives_two_models_that_equal_the_whole(name: str) -> None:
    model = zoo.attach_head(zoo.build(name, shape=(72, 72, 3)), 3)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 72, 72, 3)).astype(np.float32)
    expected = np.asarray(model(pixels, training=False))
    cuts = zoo.cut_points(model)
    assert len(cuts) > 5
    for at in cuts[:: len(cuts) // 3]:
        lower, upper = zoo.split(model, at)
        answer = upper(lower(pixels, training=False), training=False)
        np.testing.assert_array_equal(answer, expected)


def test_cuts_come_after_whole_blocks_only() -> None:
    cuts = zoo.cut_points(zoo.build("mobilenet_v2", shape=(96, 96, 3)))
    assert cuts[:4] == (
        "stem_relu",
        "stage0_block0_project_bn",
        "stage1_block0_project_bn",
        "stage1_block1_add",
    )
    assert cuts[-1] == "features_relu"
    assert len(cuts) == 1 + 17 + 1


def test_cutting_leaves_the_model_as_it_was() -> None:
    model = zoo.build("ds_cnn", shape=(64, 64, 3))
    before = zoo.cut_points(model), zoo.cost(model)
    zoo.split(model, before[0][2])
    assert (zoo.cut_points(model), zoo.cost(model)) == before


def test_parts_can_be_cut_again_and_share_the_layers() -> None:
    model = zoo.build("ds_cnn", shape=(64, 64, 3))
    lower, upper = zoo.split(model, "stage1_block0_pointwise_relu")
    assert "stage2_block1_add" in zoo.cut_points(upper)
    assert "stage2_block1_add" not in zoo.cut_points(lower)
    assert upper.get_layer("stage1_block1_add") is model.get_layer("stage1_block1_add")


@pytest.mark.parametrize("at", ["stage1_block1_depthwise_conv", "nowhere"])
def test_a_place_that_a_second_tensor_bypasses_is_no_cut(at: str) -> None:
    with pytest.raises(ValueError, match="cannot be cut"):
        zoo.split(zoo.build("ds_cnn", shape=(64, 64, 3)), at)
