from __future__ import annotations

import pytest

from edgecnn.core import receptive
from edgecnn.core.receptive import Window

IMAGE = receptive.of_image((1, 2))


def window(kernel: int, stride: int = 1, dilation: int = 1) -> Window:
    return Window(kernel=(kernel,) * 2, stride=(stride,) * 2, dilation=(dilation,) * 2)


def chain(*windows: Window) -> tuple[int, ...]:
    field = IMAGE
    for each in windows:
        field = receptive.through(field, each, (1, 2))
    return receptive.sizes(field)


def test_an_image_sees_itself() -> None:
    assert receptive.sizes(IMAGE) == (1, 1)


def test_vgg16_sees_what_is_published() -> None:
    # Araujo et al. 2019: VGG-16 up to its last pooling.
    blocks = [each for n in (2, 2, 3, 3, 3) for each in (*[window(3)] * n, window(2, stride=2))]
    assert chain(*blocks) == (212, 212)


def test_a_dilated_window_reaches_over_its_gaps() -> None:
    assert chain(window(3, dilation=4)) == (9, 9)


def test_two_small_windows_see_as_much_as_a_large_one() -> None:
    assert chain(window(3), window(3)) == chain(window(5))


def test_the_branch_that_sees_more_counts_along_each_axis() -> None:
    tall = receptive.through(IMAGE, Window(kernel=(7, 1), stride=(1, 1), dilation=(1, 1)), (1, 2))
    wide = receptive.through(IMAGE, Window(kernel=(1, 5), stride=(1, 1), dilation=(1, 1)), (1, 2))
    assert receptive.sizes(receptive.merged([tall, wide, IMAGE])) == (7, 5)


def test_a_gate_over_the_whole_image_makes_its_product_see_the_image() -> None:
    gate = receptive.reduced(IMAGE, (1, 20, 30, 8), (1, 8), (1, 2))
    product = receptive.merged([IMAGE, gate])
    assert receptive.sizes(product) == (20, 30)
    # The product's places are still those of the image.
    assert receptive.sizes(receptive.through(product, window(3), (1, 2))) == (22, 32)


def test_a_transposed_convolution_brings_places_closer_together() -> None:
    narrow = receptive.through(IMAGE, window(2, stride=2), (1, 2))
    back = receptive.back_through(narrow, window(2, stride=2), (1, 2))
    assert receptive.sizes(back) == (2, 2)
    assert receptive.sizes(receptive.through(back, window(3), (1, 2))) == (4, 4)


def test_axes_of_length_one_come_and_go_and_a_vector_sees_all() -> None:
    longer = receptive.reshaped(receptive.of_image((1,)), (1, 64, 8), (1, 1, 64, 8))
    assert longer[0].axis == 2
    assert receptive.sizes(receptive.reshaped(IMAGE, (1, 9, 7, 8), (1, 504))) == (9, 7)


def test_an_unknown_layer_sees_what_its_shapes_force_it_to() -> None:
    assert receptive.sizes(receptive.scaled(IMAGE, (1, 32, 32, 8), (1, 16, 16, 8))) == (2, 2)
    assert receptive.scaled(IMAGE, (1, 33, 33, 8), (1, 32, 32, 8)) == IMAGE  # a border cut off
    assert receptive.scaled(IMAGE, (1, 16, 16, 8), (1, 32, 32, 8))[0].jump == 0.5


def test_turned_axes_keep_their_extents() -> None:
    tall = receptive.through(IMAGE, Window(kernel=(3, 1), stride=(2, 1), dilation=(1, 1)), (1, 2))
    planes = receptive.permuted(tall, (0, 3, 1, 2))
    assert [extent.axis for extent in planes] == [2, 3]
    assert receptive.sizes(planes) == (3, 1)


@pytest.mark.parametrize("side", [0, -7, 2**31])
def test_forged_windows_give_numbers_that_end(side: int) -> None:
    field = IMAGE
    for _ in range(1000):
        field = receptive.through(field, window(side, side, side), (1, 2))
        field = receptive.back_through(field, window(side, 2), (1, 2))
    assert all(1 <= size <= 10**9 for size in receptive.sizes(field))


def test_axes_that_a_tensor_has_not_are_left_alone() -> None:
    far = receptive.of_image((7, 9))
    assert receptive.sizes(receptive.scaled(far, (1, 4), (1, 2))) == (1, 1)
    assert receptive.sizes(receptive.pooled(far, (1, 4), (7, 9))) == (1, 1)
    assert receptive.merged([]) == ()
