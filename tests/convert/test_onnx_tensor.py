from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.tensorflow


@st.composite
def steps(draw):
    """A shape and some transposes and reshapes, as they follow each other in a graph."""
    shape = tuple(draw(st.lists(st.sampled_from([1, 1, 2, 3, 4]), min_size=4, max_size=4)))
    todo, now = [], shape
    for _ in range(draw(st.integers(1, 5))):
        if draw(st.booleans()):
            order = tuple(draw(st.permutations(range(len(now)))))
            now = tuple(now[axis] for axis in order)
            todo.append(("transpose", order))
        else:
            now = tuple(draw(st.permutations(_split(draw, math.prod(now)))))
            todo.append(("reshape", now))
    return shape, todo


def _split(draw, count):
    factors = []
    while count > 1:
        factor = draw(st.sampled_from([n for n in range(2, count + 1) if count % n == 0]))
        factors.append(factor)
        count //= factor
    return factors or [1]


@given(steps())
@settings(max_examples=60)
def test_moving_axes_gives_the_numbers_that_numpy_gives(case) -> None:
    import tensorflow as tf

    from edgecnn.convert.onnx_tensor import LAST, Tensor

    shape, todo = case
    expected = np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
    found = Tensor(tf.constant(expected.transpose(LAST)), LAST)
    for kind, how in todo:
        expected = getattr(expected, kind)(how)
        found = found.transposed(how) if kind == "transpose" else found.reshaped(how)
        assert found.shape == expected.shape
    assert np.array_equal(found.plain().numpy(), expected)


def test_axes_of_one_never_cost_a_transpose() -> None:
    import tensorflow as tf

    from edgecnn.convert.onnx_tensor import image

    @tf.function(autograph=False)
    def flatten(x):
        return image(x).reshaped((1, 8)).plain()

    graph = flatten.get_concrete_function(tf.TensorSpec((1, 1, 1, 8))).graph
    assert "Transpose" not in {operation.type for operation in graph.get_operations()}


def test_a_channel_shuffle_moves_the_channels_alone() -> None:
    import tensorflow as tf

    from edgecnn.convert.onnx_tensor import LAST, image

    values = np.random.default_rng(0).random((1, 4, 5, 6)).astype(np.float32)  # [N, H, W, C]
    x = image(tf.constant(values)).reshaped((1, 2, 3, 4, 5)).transposed((0, 2, 1, 3, 4))
    shuffled = x.reshaped((1, 6, 4, 5))
    first = values.transpose(0, 3, 1, 2).reshape(1, 2, 3, 4, 5).transpose(0, 2, 1, 3, 4)
    assert np.array_equal(shuffled.plain().numpy(), first.reshape(1, 6, 4, 5))
    assert shuffled.order == LAST
