"""One row a model gives it all its checks: figures, shapes, gradients, files in both formats.

Where nobody published an exact count, or a sibling stands for an export, the row says so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

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
        params: With 1,000 classes at the default size.
        counted: "all" as Keras counts; "trainable" without batch norm's statistics, as torch.
        params_from: Who published `params`, and what was taken off or not published.
        macs_millions: Multiply-accumulates with 1,000 classes at the default size.
        macs_from: Who published them; what they count besides kernels.
        features: Channels of the body's output.
        stands_in: Another row of the same blocks whose export stands for this one's.
        known_photo: Has ImageNet weights on disk, so that it must name a photo rightly.
    """

    arch: str
    params: int
    params_from: str
    macs_millions: float
    macs_from: str
    features: int
    alpha: float = 1.0
    counted: Literal["all", "trainable"] = "all"
    stands_in: str = ""
    known_photo: bool = False

    def __str__(self) -> str:
        return self.arch if self.alpha == 1.0 else f"{self.arch}_{self.alpha}"


KERAS = "keras.applications 3.15"
SLIM_V2 = "tensorflow/models, research/slim/nets/mobilenet/README.md"

EDGE = (
    Row(
        arch="mobilenet_v2",
        params=3_538_984,
        params_from=KERAS,
        macs_millions=300,
        macs_from=SLIM_V2,
        features=1280,
    ),
    Row(
        arch="mobilenet_v2",
        alpha=1.4,
        params=6_156_712,
        params_from=KERAS,
        macs_millions=582,
        macs_from=SLIM_V2,
        features=1792,
        stands_in="mobilenet_v2",
    ),
)

CLASSIC: tuple[Row, ...] = ()

ROWS = EDGE + CLASSIC


@dataclasses.dataclass
class Case:
    """One row at its smallest size with an odd class count, and three pictures for it."""

    row: Row
    model: keras.Model
    pictures: Any


@pytest.fixture(scope="module", params=ROWS, ids=str)
def row(request: pytest.FixtureRequest) -> Row:
    return request.param


@pytest.fixture(scope="module")
def case(row: Row) -> Iterator[Case]:
    """One network at a time: module-wide parameters keep a row's tests together."""
    keras.utils.set_random_seed(0)
    side = zoo.find(row.arch).min_size
    body = zoo.build(row.arch, shape=(side, side, 3), alpha=row.alpha)
    model = zoo.attach_head(body, CLASSES)
    pictures = smooth_pictures(6, side)
    look_trained(model, pictures)
    yield Case(row, model, pictures[:3])
    keras.backend.clear_session()


def smooth_pictures(count: int, side: int) -> Any:
    random = np.random.default_rng(11)
    small = random.integers(0, 256, (count, 5, 5, 3), dtype=np.uint8)
    large = [np.asarray(Image.fromarray(p).resize((side, side))) for p in small]
    return np.stack(large).astype(np.float32)


def look_trained(model: keras.Model, pictures: Any) -> None:
    """Give batch norms the statistics of these pictures, and logits a spread that tells.

    With random weights and untouched statistics a deep network answers all photos alike,
    and any two files would agree.
    """
    random = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
            layer.gamma.assign(random.uniform(0.8, 1.2, layer.gamma.shape))
            layer.beta.assign(random.normal(0.1, 0.2, layer.beta.shape))
    model(pictures, training=True)
    before = keras.Model(model.input, model.get_layer("logits").output)
    spread = np.ptp(np.asarray(before(pictures, training=False)), axis=0).max()
    logits = model.get_layer("logits")
    logits.kernel.assign(logits.kernel * (3.0 / spread))


def test_published_figures_come_out(row: Row) -> None:
    side = zoo.find(row.arch).default_size
    body = zoo.build(row.arch, shape=(side, side, 3), alpha=row.alpha)
    model = zoo.attach_head(body, 1000)
    trainable = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    assert {"all": model.count_params(), "trainable": trainable}[row.counted] == row.params
    assert zoo.cost(model).macs / 1e6 == pytest.approx(row.macs_millions, rel=0.01)
    assert body.output_shape[-1] == row.features
    assert model.output_shape == (None, 1000)


def test_an_odd_number_of_classes_at_the_smallest_size(case: Case) -> None:
    answers = np.asarray(case.model(case.pictures, training=False))
    assert answers.shape == (3, CLASSES)
    np.testing.assert_allclose(answers.sum(axis=1), 1.0, atol=1e-6)
    assert np.ptp(answers, axis=0).max() > 0.05  # it tells pictures apart


def test_every_weight_gets_a_gradient(case: Case) -> None:
    weights = case.model.trainable_weights
    with tf.GradientTape() as tape:
        answers = case.model(case.pictures, training=False)
        loss = -tf.reduce_mean(tf.math.log(answers[:, 0] + 1e-6))
    gradients = tape.gradient(loss, [w.value for w in weights])
    pairs = zip(weights, gradients, strict=True)
    assert not [w.path for w, g in pairs if g is None or not np.isfinite(g).all()]
    assert not [w.path for w, g in zip(weights, gradients, strict=True) if not np.any(g)]


def test_files_of_both_formats_agree_with_keras(case: Case, tmp_path: Path) -> None:
    if case.row.stands_in:
        assert case.row.stands_in in {str(row) for row in ROWS if not row.stands_in}
        pytest.skip(f"the same blocks as {case.row.stands_in}, which is exported")
    frozen = freeze(fold_batch_norm(case.model))
    (tmp_path / "a.tflite").write_bytes(tflite.float32(frozen))
    (tmp_path / "a.onnx").write_bytes(onnx.float32(frozen))
    engines = LiteRt(tmp_path / "a.tflite", threads=1), OnnxRuntime(tmp_path / "a.onnx", threads=1)
    expected = np.asarray(case.model(case.pictures, training=False))
    for engine in engines:
        answers = [engine.invoke(picture[None])[0] for picture in case.pictures]
        np.testing.assert_allclose(answers, expected, atol=1e-4)


KNOWN = [row for row in ROWS if row.known_photo]


@pytest.mark.parametrize("known", KNOWN, ids=str)
def test_a_known_photo_gets_its_name(known: Row, shared: Path) -> None:
    architecture = zoo.find(known.arch)
    side = architecture.default_size
    body = zoo.build(known.arch, shape=(side, side, 3), alpha=known.alpha)
    zoo.load_weights(body, known.arch, "imagenet", alpha=known.alpha)
    model = zoo.attach_head(body, 1000)
    model.get_layer("logits").set_weights(zoo.imagenet_head(known.arch))
    photo = image.load(shared / "models" / "cat.jpg", architecture.preprocessing())
    (answer,) = np.asarray(model(photo[None].astype(np.float32), training=False))
    assert answer.argmax() in {281, 282, 285}  # tabby, tiger cat, Egyptian cat
