from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.quantize.correction import mean_taps, same_padding


@pytest.mark.tensorflow
@given(
    size=st.integers(4, 11),
    kernel=st.sampled_from([1, 3, 5]),
    stride=st.integers(1, 2),
    seed=st.integers(0, 99),
)
def test_the_predicted_mean_output_is_the_mean_of_the_real_outputs(size, kernel, stride, seed):
    import tensorflow as tf

    random = np.random.default_rng(seed)
    photos = random.normal(1.0, 1.0, (6, size, size, 3)).astype(np.float32)
    weights = random.normal(0, 1, (kernel, kernel, 3, 4)).astype(np.float32)
    real = tf.nn.conv2d(photos, weights, stride, "SAME").numpy().mean(axis=(0, 1, 2))
    padding = same_padding((size, size), (kernel, kernel), (stride, stride), (1, 1))
    taps = mean_taps(
        photos.mean(axis=0),
        kernel=(kernel, kernel),
        stride=(stride, stride),
        dilation=(1, 1),
        padding=padding,
    )
    np.testing.assert_allclose(np.einsum("yxi,yxio->o", taps, weights), real, atol=1e-3)
