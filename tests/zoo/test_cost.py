from __future__ import annotations

import itertools

import keras
import pytest
from keras import layers

from edgecnn import zoo
from edgecnn.zoo.layers import DepthwiseMaxPooling, LocalResponseNormalization

pytestmark = pytest.mark.tensorflow


def macs(*chain: layers.Layer, shape: tuple[int, ...]) -> list[int]:
    x = image = keras.Input(shape)
    for layer in chain:
        x = layer(x)
    return [row.macs for row in zoo.cost(keras.Model(image, x)).layers]


def test_the_textbooks_convolution_costs_what_the_textbook_says() -> None:
    # Geron 2019, Hands-On Machine Learning, chapter 14, memory requirements: 150 x 100 RGB.
    image = keras.Input((150, 100, 3))
    x = layers.Conv2D(200, 5, padding="same", name="maps")(image)
    cost = zoo.cost(keras.Model(image, x))
    (row,) = cost.layers
    assert row.params == cost.params == 15_200
    assert row.macs == 225_000_000
    assert row.activation_bytes == 12_000_000
    assert (row.kernel, row.stride, row.padding) == ((5, 5), (1, 1), "same")
    assert row.receptive_field == (5, 5)
    assert cost.activation_peak_bytes == 12_000_000 + 150 * 100 * 3 * 4
    # A batch of 100: 1.2 GB of outputs, beside the photos and 15,200 numbers four times.
    assert cost.training_bytes(100) == 100 * (12_000_000 + 180_000) + 16 * 15_200


def test_each_kind_of_kernel_is_counted() -> None:
    same = {"padding": "same", "use_bias": False}
    assert macs(
        layers.Conv2D(4, 3, strides=2, **same),  # 4 x 4 places
        layers.DepthwiseConv2D(3, **same),
        layers.SeparableConv2D(8, 3, **same),
        layers.Conv2D(8, 3, groups=2, **same),
        layers.Conv2D(8, 3, dilation_rate=2, **same),
        layers.Conv2DTranspose(2, 3, strides=2, **same),  # 16 values spread over 9 places
        layers.GlobalAveragePooling2D(),
        layers.Dense(5),
        shape=(8, 8, 3),
    ) == [
        16 * 27 * 4,
        16 * 9 * 4,
        16 * (9 * 4 + 4 * 8),
        16 * 9 * 4 * 8,
        16 * 9 * 8 * 8,
        16 * 9 * 8 * 2,
        0,
        2 * 5,
    ]


def test_lines_and_volumes_are_counted_like_images() -> None:
    assert macs(
        layers.Conv1D(4, 3, strides=2, padding="same"),
        layers.DepthwiseConv1D(3, padding="same"),
        layers.SeparableConv1D(6, 3, padding="same"),
        layers.Conv1DTranspose(2, 4, strides=2, padding="same"),
        layers.Dense(3),  # at each of 16 places
        shape=(16, 2),
    ) == [8 * 3 * 2 * 4, 8 * 3 * 4, 8 * (3 * 4 + 4 * 6), 8 * 4 * 6 * 2, 16 * 2 * 3]
    assert macs(
        layers.Conv3D(4, 2, padding="same"), layers.Conv3DTranspose(2, 2), shape=(4, 4, 4, 1)
    ) == [64 * 8 * 4, 64 * 8 * 4 * 2]


def test_products_of_whole_tensors_are_counted() -> None:
    left, right = keras.Input((6, 4)), keras.Input((4, 5))
    product = keras.ops.matmul(left, right)
    dot = layers.Dot(axes=(1, 1))([product, product])
    (einsum, *_) = [layers.EinsumDense("abc,cd->abd", output_shape=(5, 3))(dot)]
    rows = zoo.cost(keras.Model([left, right], einsum)).layers
    assert [row.macs for row in rows] == [6 * 5 * 4, 5 * 5 * 6, 5 * 3 * 5]


def test_a_model_in_a_model_counts_whole() -> None:
    inner_image = keras.Input((8, 8, 3))
    inner = keras.Model(inner_image, layers.Conv2D(4, 3, padding="same")(inner_image))
    image = keras.Input((8, 8, 3))
    cost = zoo.cost(keras.Model(image, inner(image)))
    assert cost.macs == zoo.cost(inner).macs == 64 * 27 * 4
    assert cost.params == 112


def test_cost_agrees_with_itself_and_with_keras() -> None:
    model = zoo.attach_head(zoo.build("ds_cnn", shape=(64, 64, 3)), 10)
    cost = zoo.cost(model)
    assert cost.params == model.count_params() == sum(row.params for row in cost.layers)
    assert cost.macs == sum(row.macs for row in cost.layers)
    assert cost.receptive_field == cost.layers[-1].receptive_field


def test_activation_peak_is_the_widest_moment() -> None:
    image = keras.Input((4, 4, 2))  # 128 bytes
    wide = layers.Conv2D(8, 1, name="wide")(image)  # 512 bytes
    wide = layers.ReLU(name="relu")(wide)  # in place
    y = layers.Conv2D(2, 1, name="narrow")(wide)  # 128 bytes, while the image waits
    model = keras.Model(image, layers.Add(name="add")([image, y]))
    assert zoo.cost(model).activation_peak_bytes == 128 + 512 + 128


def test_a_chain_holds_two_neighbours_at_its_peak() -> None:
    x = image = keras.Input((8, 8, 1))
    sizes = [8 * 8 * 1]
    for channels in (4, 16, 2, 8):
        x = layers.Conv2D(channels, 1)(x)
        sizes.append(8 * 8 * channels)
    peak = zoo.cost(keras.Model(image, x)).activation_peak_bytes
    assert peak == 4 * max(a + b for a, b in itertools.pairwise(sizes))


def test_the_backward_pass_keeps_what_its_gradients_read() -> None:
    x = image = keras.Input((4, 4, 1))  # 64 bytes
    x = layers.Conv2D(2, 1, use_bias=False)(x)  # 128 bytes; reads the image
    x = layers.BatchNormalization()(x)  # reads what the convolution made
    y = layers.ReLU()(x)  # reads what it makes
    y = layers.Add()([y, y])  # reads nothing
    y = layers.MaxPooling2D(2)(y)  # 32 bytes; reads both ends
    y = layers.Dense(3, activation="relu")(layers.Flatten()(y))  # reads both ends
    cost = zoo.cost(keras.Model(image, y))
    assert cost.kept_bytes == 64 + 128 + 128 + 128 + 32 + 12
    assert cost.activation_bytes == 64 + 4 * 128 + 32 + 12


def test_layers_name_those_that_they_read() -> None:
    image = keras.Input((8, 8, 2))
    x = layers.Conv2D(2, 3, padding="same")(image)
    y = layers.Conv2D(2, 5, padding="same")(x)
    rows = zoo.cost(keras.Model(image, layers.Add()([x, y]))).layers
    assert [row.inputs for row in rows] == [(-1,), (0,), (0, 1)]
    assert [row.receptive_field for row in rows] == [(3, 3), (7, 7), (7, 7)]


def test_known_networks_see_what_is_published() -> None:
    # Araujo et al. 2019, doi:10.23915/distill.00021: MobileNetV1 315, ResNet v1 50 483.
    model = zoo.build("resnet50", shape=(64, 64, 3))
    assert zoo.cost(model).receptive_field == (483, 483)


def test_layers_of_our_own_and_foreign_ones_are_described() -> None:
    class Swap(layers.Layer):
        def call(self, x: object) -> object:
            return x

    x = image = keras.Input((8, 8, 4))
    for layer in (
        LocalResponseNormalization(),
        DepthwiseMaxPooling(2),
        Swap(name="swap"),
        layers.UpSampling2D(2),
        layers.ZeroPadding2D(1),
        layers.Cropping2D(1),
        layers.Permute((3, 1, 2)),
        layers.Reshape((2, 256)),
    ):
        x = layer(x)
    rows = zoo.cost(keras.Model(image, x)).layers
    assert [row.receptive_field for row in rows[:6]] == [(1, 1)] * 6
    assert rows[2].op == "Swap"
    assert not any(row.macs or row.kernel for row in rows)


def test_planes_before_rows_are_read_along_the_right_axes() -> None:
    image = keras.Input((3, 8, 6))
    x = layers.Conv2D(4, (3, 1), data_format="channels_first", padding="valid")(image)
    (row,) = zoo.cost(keras.Model(image, x)).layers
    assert row.output_shape == (4, 6, 6)
    assert row.macs == 6 * 6 * 3 * 3 * 4
