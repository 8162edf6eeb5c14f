"""One row a model gives it all its checks: figures, shapes, gradients, files in both formats.

Where nobody published an exact count, or a sibling stands in for gradients and an export, the
row says so.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgecnn import zoo
from edgecnn.convert import onnx, tflite
from edgecnn.convert.fold import fold_batch_norm
from edgecnn.convert.frozen import freeze
from edgecnn.core import image
from edgecnn.runtime.litert import LiteRt
from edgecnn.runtime.onnxruntime import OnnxRuntime

pytestmark = pytest.mark.tensorflow

CLASSES = 7


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """What is published of one model, and what of it is checked.

    Attributes:
        params: With `classes` and `channels` at the default size.
        counted: "all" as Keras counts; "trainable" without batch norm's statistics, as torch.
        params_from: Who published `params`, and what was taken off or not published.
        macs_millions: Multiply-accumulates of the same.
        macs_from: Who published them; what they count besides kernels.
        macs_per_norm: What they count of each value that a batch norm makes.
        features: Channels of the body's output.
        stands_in: Another row of the same blocks whose gradients and export stand for this one's.
        known_photo: Has ImageNet weights on disk, so that it must name a photo rightly.
    """

    arch: str
    params: int
    params_from: str
    macs_millions: float
    macs_from: str
    features: int
    alpha: float = 1.0
    channels: int = 3
    classes: int = 1000
    counted: Literal["all", "trainable"] = "all"
    macs_per_norm: int = 0
    stands_in: str = ""
    known_photo: bool = False

    def __str__(self) -> str:
        return self.arch if self.alpha == 1.0 else f"{self.arch}_{self.alpha}"


KERAS = "keras.applications 3.15"
TIMM_MODEL = "timm 1.0.31"
TIMM_HOOKS = "timm 1.0.31's network, kernels counted by hooks"
V1_PAPER = "arXiv:1704.04861, table 6"
V3_PAPER = "arXiv:1905.02244, table 3"
SLIM = "tensorflow/models, research/slim/nets/mobilenet/README.md"
LITE = "tensorflow/tpu, efficientnet/lite/README.md: batch norm counted as 3 a value"

EDGE = (
    Row(
        arch="ds_cnn",
        params=487_784,
        params_from="our own: MobileNetV1's blocks, which mobilenet_v1's rows check",
        macs_millions=18.7,
        macs_from="our own: counted once by hand, by the same rule as mobilenet_v1's",
        features=256,
    ),
    Row(
        arch="efficientnet_b0",
        params=5_330_571 - 7,
        params_from=f"{KERAS}, less mean, variance and count of its normalization layer",
        macs_millions=385.8,
        macs_from=TIMM_HOOKS + "; the paper has 0.39 G",
        features=1280,
    ),
    Row(
        arch="efficientnet_lite0",
        params=4_652_008,
        counted="trainable",
        params_from=f"{TIMM_MODEL}, tf_efficientnet_lite0",
        macs_millions=407,
        macs_from=LITE,
        macs_per_norm=3,
        features=1280,
        known_photo=True,
    ),
    Row(
        arch="efficientnet_lite1",
        params=5_416_680,
        counted="trainable",
        params_from=f"{TIMM_MODEL}, tf_efficientnet_lite1",
        macs_millions=631,
        macs_from=LITE,
        macs_per_norm=3,
        features=1280,
        stands_in="efficientnet_lite0",
        known_photo=True,
    ),
    Row(
        arch="efficientnet_lite2",
        params=6_092_072,
        counted="trainable",
        params_from=f"{TIMM_MODEL}, tf_efficientnet_lite2",
        macs_millions=899,
        macs_from=LITE,
        macs_per_norm=3,
        features=1280,
        stands_in="efficientnet_lite0",
        known_photo=True,
    ),
    Row(
        arch="efficientnet_lite3",
        params=8_197_096,
        counted="trainable",
        params_from=f"{TIMM_MODEL}, tf_efficientnet_lite3",
        macs_millions=1440,
        macs_from=LITE,
        macs_per_norm=3,
        features=1280,
        stands_in="efficientnet_lite0",
    ),
    Row(
        arch="efficientnet_lite4",
        params=13_006_568,
        counted="trainable",
        params_from=f"{TIMM_MODEL}, tf_efficientnet_lite4",
        macs_millions=2640,
        macs_from=LITE,
        macs_per_norm=3,
        features=1280,
        stands_in="efficientnet_lite0",
    ),
    Row(
        arch="mnasnet",
        params=4_383_312,
        counted="trainable",
        params_from=f"{TIMM_MODEL}, mnasnet_100; torchvision 0.29, mnasnet1_0",
        macs_millions=315,
        macs_from="arXiv:1807.11626, MnasNet-B1",
        features=1280,
    ),
    Row(
        arch="mnasnet",
        alpha=0.5,
        params=2_218_512,
        counted="trainable",
        params_from="torchvision 0.29, mnasnet0_5",
        macs_millions=104.5,
        macs_from=TIMM_HOOKS,
        features=1280,
        stands_in="mnasnet",
    ),
    Row(
        arch="mnasnet",
        alpha=1.3,
        params=6_282_256,
        counted="trainable",
        params_from="torchvision 0.29, mnasnet1_3",
        macs_millions=526.4,
        macs_from="torchvision 0.29's network, kernels counted by hooks",
        features=1280,
        stands_in="mnasnet",
    ),
    Row(
        arch="mobilenet_v1",
        params=4_253_864,
        params_from=KERAS,
        macs_millions=569,
        macs_from=V1_PAPER,
        features=1024,
    ),
    Row(
        arch="mobilenet_v1",
        alpha=0.75,
        params=2_601_976,
        params_from=KERAS,
        macs_millions=325,
        macs_from=V1_PAPER,
        features=768,
        stands_in="mobilenet_v1",
    ),
    Row(
        arch="mobilenet_v1",
        alpha=0.5,
        params=1_342_536,
        params_from=KERAS,
        macs_millions=149,
        macs_from=V1_PAPER,
        features=512,
        stands_in="mobilenet_v1",
    ),
    Row(
        arch="mobilenet_v1",
        alpha=0.25,
        params=475_544,
        params_from=KERAS,
        macs_millions=41,
        macs_from=V1_PAPER,
        features=256,
        stands_in="mobilenet_v1",
    ),
    Row(
        arch="mobilenet_v2",
        params=3_538_984,
        params_from=KERAS,
        macs_millions=300,
        macs_from=SLIM,
        features=1280,
    ),
    Row(
        arch="mobilenet_v2",
        alpha=0.35,
        params=1_691_208,
        params_from=KERAS,
        macs_millions=59,
        macs_from=SLIM,
        features=1280,
        stands_in="mobilenet_v2",
    ),
    Row(
        arch="mobilenet_v2",
        alpha=0.5,
        params=1_987_224,
        params_from=KERAS,
        macs_millions=97,
        macs_from=SLIM,
        features=1280,
        stands_in="mobilenet_v2",
    ),
    Row(
        arch="mobilenet_v2",
        alpha=0.75,
        params=2_663_064,
        params_from=KERAS,
        macs_millions=209,
        macs_from=SLIM,
        features=1280,
        stands_in="mobilenet_v2",
    ),
    Row(
        arch="mobilenet_v2",
        alpha=1.3,
        params=5_431_048,
        params_from=KERAS,
        macs_millions=509,
        macs_from=SLIM,
        features=1664,
        stands_in="mobilenet_v2",
    ),
    Row(
        arch="mobilenet_v2",
        alpha=1.4,
        params=6_156_712,
        params_from=KERAS,
        macs_millions=582,
        macs_from=SLIM,
        features=1792,
        stands_in="mobilenet_v2",
    ),
    Row(
        arch="mobilenet_v3_large",
        params=5_507_432,
        params_from=KERAS,
        macs_millions=217,
        macs_from=SLIM,
        features=960,
    ),
    Row(
        arch="mobilenet_v3_large",
        alpha=0.75,
        params=4_012_616,
        params_from=KERAS,
        macs_millions=155,
        macs_from=SLIM,
        features=720,
        stands_in="mobilenet_v3_large",
    ),
    Row(
        arch="mobilenet_v3_large_minimalistic",
        params=3_948_688,
        params_from=KERAS,
        macs_millions=209,
        macs_from=SLIM,
        features=960,
    ),
    Row(
        arch="mobilenet_v3_small",
        params=2_554_968,
        params_from=KERAS,
        macs_millions=56,
        macs_from=V3_PAPER + "; slim's README has 66, which the paper corrected",
        features=576,
    ),
    Row(
        arch="mobilenet_v3_small",
        alpha=0.75,
        params=2_051_552,
        params_from=KERAS,
        macs_millions=43.4,
        macs_from=TIMM_HOOKS + "; the paper has 44, in whole millions",
        features=432,
        stands_in="mobilenet_v3_small",
    ),
    Row(
        arch="mobilenet_v3_small_minimalistic",
        params=2_056_848,
        params_from=KERAS,
        macs_millions=52.3,
        macs_from=TIMM_HOOKS + "; slim's README has 65, by its old count of the whole family",
        features=576,
    ),
    Row(
        arch="mobilenet_v4_conv_medium",
        params=9_715_512,
        counted="trainable",
        params_from=f"{TIMM_MODEL}, mobilenetv4_conv_medium",
        macs_millions=1080.2,
        macs_from=TIMM_HOOKS + " at 256; the paper has 1.0 G",
        features=960,
    ),
    Row(
        arch="mobilenet_v4_conv_small",
        params=3_774_024,
        counted="trainable",
        params_from=f"{TIMM_MODEL}, mobilenetv4_conv_small",
        macs_millions=186.0,
        macs_from=TIMM_HOOKS + "; the paper has 0.2 G",
        features=960,
    ),
    Row(
        arch="xception",
        params=22_910_480,
        params_from=KERAS,
        macs_millions=8357.4,
        macs_from=TIMM_HOOKS + ", legacy_xception",
        features=2048,
    ),
    Row(
        arch="xception_small",
        params=4_299_256,
        params_from="our own: below 5 million; its blocks are xception's, which that row checks",
        macs_millions=780.4,
        macs_from="our own: counted by the same rule as xception's",
        features=1024,
    ),
)

TORCHVISION = "torchvision 0.29: num_params and _ops of its weights"
TIMM = "timm 1.0.31, results/model_metadata-in1k.csv"
SENET = "arXiv:1709.01507, table 2"
SURVEY = "Sze et al. 2017, arXiv:1703.09039, table II"
BY_HAND = "nobody counted this form; the paper's map sizes times its kernels"

CLASSIC = (
    Row(
        arch="lenet5",
        channels=1,
        classes=10,
        # Of the paper's 60,000 these are equal: C1 156, C5 48,120, F6 10,164. C3 is fully
        # connected here, 2,416 for 1,516; pooling learns nothing; 850 for ten logits.
        params=156 + 2_416 + 48_120 + 10_164 + 850,
        params_from="LeCun et al. 1998, section II.B, layer by layer; 61,706 in all modern forms",
        # The paper's connections: C1 122,304 and C5 48,120, a bias each.
        macs_millions=0.4165,
        macs_from=BY_HAND,
        features=120,
    ),
    Row(
        arch="alexnet",
        params=60_965_224,
        params_from="BVLC's Caffe: the published bvlc_alexnet.caffemodel",
        macs_millions=724,
        macs_from=SURVEY,
        features=256,
    ),
    Row(
        arch="zfnet",
        params=62_357_608,
        params_from="none exact; figure 3's kernels, whose maps 110, 55, 26, 13, 6 come out",
        macs_millions=1168,
        macs_from=BY_HAND,
        features=256,
        stands_in="alexnet",
    ),
    Row(
        arch="vgg16",
        params=138_357_544,
        params_from=KERAS,
        macs_millions=15_470,
        macs_from=TORCHVISION,
        features=512,
        stands_in="alexnet",
    ),
    Row(
        arch="vgg19",
        params=143_667_240,
        params_from=KERAS,
        macs_millions=19_632,
        macs_from=TORCHVISION,
        features=512,
        stands_in="alexnet",
    ),
    Row(
        arch="googlenet",
        params=6_998_552,
        params_from="BVLC's Caffe: the published bvlc_googlenet.caffemodel without its two helpers",
        # Row by row 360, 128, 304, 73, 88, 100, 119, 170, 54, 71, 1; the first, 34, is no 7x7
        # convolution's, which takes 118.
        macs_millions=1502 - 34 + 118,
        macs_from="arXiv:1409.4842, table 1",
        features=1024,
    ),
    Row(
        arch="se_inception",
        # Each module's C channels add 2 * C * (C // 16) + C + C // 16: arXiv:1709.01507, (5)
        params=6_998_552 + 480_103,
        params_from="googlenet's, and the paper's formula: SE-GoogLeNet itself is nobody's",
        macs_millions=1586 + 0.5,
        macs_from="googlenet's, and the formula",
        features=1024,
    ),
    Row(
        arch="inception_v3",
        params=23_851_784,
        params_from=KERAS,
        macs_millions=5713,
        macs_from=TORCHVISION,
        features=2048,
    ),
    Row(
        arch="inception_v4",
        params=42_679_816,
        params_from=TIMM,
        counted="trainable",
        macs_millions=12_280,
        macs_from=TIMM,
        features=1536,
        stands_in="inception_v3",
    ),
    Row(
        arch="resnet18",
        params=11_689_512,
        params_from=TORCHVISION,
        counted="trainable",
        macs_millions=1814,
        macs_from=TORCHVISION,
        features=512,
    ),
    Row(
        arch="resnet34",
        params=21_797_672,
        params_from=TORCHVISION,
        counted="trainable",
        macs_millions=3664,
        macs_from=TORCHVISION,
        features=512,
        stands_in="resnet18",
    ),
    Row(
        arch="resnet50",
        params=25_636_712,
        params_from=KERAS,
        macs_millions=3860,
        macs_from=SENET,
        features=2048,
    ),
    Row(
        arch="resnet50_v1_5",
        params=25_557_032,
        params_from=TORCHVISION,
        counted="trainable",
        macs_millions=4089,
        macs_from=TORCHVISION,
        features=2048,
        stands_in="se_resnet50",
    ),
    Row(
        arch="resnet101",
        params=44_707_176,
        params_from=KERAS,
        macs_millions=7580,
        macs_from=SENET,
        features=2048,
        stands_in="resnet50",
    ),
    Row(
        arch="resnet152",
        params=60_419_944,
        params_from=KERAS,
        macs_millions=11_300,
        macs_from=SENET,
        features=2048,
        stands_in="resnet50",
    ),
    Row(
        arch="se_resnet50",
        params=28_088_024,
        params_from="timm 1.0.31, legacy_seresnet50",
        counted="trainable",
        macs_millions=3870,
        macs_from=SENET,
        features=2048,
    ),
    Row(
        arch="senet154",
        params=115_088_984,
        params_from="timm 1.0.31, legacy_senet154",
        counted="trainable",
        macs_millions=20_770,
        macs_from=TIMM,
        features=2048,
        stands_in="se_resnet50",
    ),
    Row(
        arch="tutorial_cnn",
        # The book's network has one output of 513 weights.
        params=3_453_121 + 999 * 513,
        params_from="Chollet 2018, listing 5.6",
        macs_millions=236.6,
        macs_from=BY_HAND,
        features=128,
    ),
    Row(
        arch="dense_baseline",
        channels=1,
        classes=10,
        params=266_610,
        params_from="Geron 2019, chapter 10, summary of the first network",
        macs_millions=0.2662,
        macs_from=BY_HAND,
        features=1,
    ),
)

ROWS = EDGE + CLASSIC


@dataclasses.dataclass
class Case:
    """One row at its smallest size with an odd class count, and a dozen pictures for it."""

    row: Row
    model: keras.Model
    pictures: Any


@pytest.fixture(scope="module", params=ROWS, ids=str)
def row(request: pytest.FixtureRequest) -> Row:
    return request.param


@pytest.fixture(scope="module")
def case(row: Row, smooth_pictures: Any, look_trained: Any) -> Iterator[Case]:
    """One network at a time: module-wide parameters keep a row's tests together."""
    keras.utils.set_random_seed(0)
    side = zoo.find(row.arch).min_size
    body = zoo.build(row.arch, shape=(side, side, 3), alpha=row.alpha)
    model = zoo.attach_head(body, CLASSES)
    # The deepest of a family stand behind a sibling, and take the longest.
    pictures = smooth_pictures(4 if row.stands_in else 12, side)
    look_trained(model, pictures)
    yield Case(row, model, pictures)
    keras.backend.clear_session()


def skip_where_a_sibling_stands_in(row: Row) -> None:
    if row.stands_in:
        assert row.stands_in in {str(other) for other in ROWS if not other.stands_in}
        pytest.skip(f"the same blocks as {row.stands_in}, which is checked")


def test_published_figures_come_out(row: Row) -> None:
    side = zoo.find(row.arch).default_size
    # Weights without values: shapes are all that counts here, and VGG's take a second to draw.
    with keras.StatelessScope(initialize_variables=False):
        body = zoo.build(row.arch, shape=(side, side, row.channels), alpha=row.alpha)
        model = zoo.attach_head(body, row.classes)
    trainable = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    assert {"all": model.count_params(), "trainable": trainable}[row.counted] == row.params
    cost = zoo.cost(model)
    norms = [layer for layer in cost.layers if layer.op == "BatchNormalization"]
    normed = sum(math.prod(layer.output_shape) for layer in norms)
    macs = cost.macs + row.macs_per_norm * normed
    assert macs / 1e6 == pytest.approx(row.macs_millions, rel=0.01)
    assert body.output_shape[-1] == row.features
    assert model.output_shape == (None, row.classes)


@pytest.mark.uncounted
def test_an_odd_number_of_classes_at_the_smallest_size(case: Case) -> None:
    answers = np.asarray(case.model(case.pictures, training=False))
    assert answers.shape == (len(case.pictures), CLASSES)
    np.testing.assert_allclose(answers.sum(axis=1), 1.0, atol=1e-6)
    assert answers.dtype == np.float32
    assert np.ptp(answers, axis=0).max() > 0.02  # it tells pictures apart


def test_network_is_flat_and_its_layers_have_names(case: Case) -> None:
    kinds = {type(layer).__name__ for layer in case.model.layers}
    assert not kinds & {"Functional", "Sequential", "Lambda"}
    assert not [layer.name for layer in case.model.layers if layer.name.startswith("_")]
    if case.row in EDGE:
        assert "ZeroPadding2D" not in kinds


def test_normalize_layer_does_what_the_registry_says(case: Case) -> None:
    pixels = np.array([[[[0, 0, 0], [255, 255, 255]]]], np.uint8)
    expected = zoo.find(case.row.arch).normalization.apply(pixels)
    np.testing.assert_allclose(case.model.get_layer("normalize")(pixels), expected, atol=1e-5)


@pytest.mark.uncounted
def test_every_weight_gets_a_gradient(case: Case) -> None:
    skip_where_a_sibling_stands_in(case.row)
    weights = case.model.trainable_weights
    with tf.GradientTape() as tape:
        answers = case.model(case.pictures[:3], training=False)
        loss = -tf.reduce_mean(tf.math.log(answers[:, 0] + 1e-6))
    gradients = tape.gradient(loss, [w.value for w in weights])
    pairs = zip(weights, gradients, strict=True)
    assert not [w.path for w, g in pairs if g is None or not np.isfinite(g).all()]
    assert not [w.path for w, g in zip(weights, gradients, strict=True) if not np.any(g)]


@pytest.mark.uncounted
def test_files_of_both_formats_agree_with_keras(case: Case, tmp_path: Path) -> None:
    skip_where_a_sibling_stands_in(case.row)
    frozen = freeze(fold_batch_norm(case.model))
    (tmp_path / "a.tflite").write_bytes(tflite.float32(frozen))
    (tmp_path / "a.onnx").write_bytes(onnx.float32(frozen))
    engines = LiteRt(tmp_path / "a.tflite", threads=1), OnnxRuntime(tmp_path / "a.onnx", threads=1)
    pictures = case.pictures[:3]
    expected = np.asarray(case.model(pictures, training=False))
    for engine in engines:
        answers = [engine.invoke(picture[None])[0] for picture in pictures]
        np.testing.assert_allclose(answers, expected, atol=1e-4)


KNOWN = [row for row in ROWS if row.known_photo]


@pytest.mark.parametrize("known", KNOWN, ids=str)
def test_a_known_photo_gets_its_name(known: Row, shared: Path) -> None:
    architecture = zoo.find(known.arch)
    side = architecture.default_size
    weights = zoo.open_weights(known.arch, "imagenet", alpha=known.alpha)
    model = zoo.classifier(
        known.arch, 1000, shape=(side, side, 3), alpha=known.alpha, weights=weights
    )
    photo = image.load(shared / "models" / "cat.jpg", architecture.preprocessing())
    (answer,) = np.asarray(model(photo[None].astype(np.float32), training=False))
    assert answer.argmax() in {281, 282, 285}  # tabby, tiger cat, Egyptian cat
