import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

tf = pytest.importorskip("tensorflow")

from edgecnn.training.compress import (  # noqa: E402
    RAMP,
    Compression,
    pruned,
    settled,
    sparsity_at,
    zero_share,
)

pytestmark = pytest.mark.tensorflow

WEIGHTS = arrays(np.float32, (6, 5), elements=st.floats(-4, 4, width=16))
SHARES = st.floats(0, 0.99)


def kernel(*, seed: int = 0, shape: tuple[int, ...] = (3, 3, 8, 16)) -> tf.Variable:
    return tf.Variable(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


@given(SHARES, SHARES, st.floats(0, 1), st.floats(0, 1))
def test_zeros_become_more_quickly_at_first_and_never_fewer(
    first: float, last: float, one: float, other: float
) -> None:
    early, late = sorted((one, other))
    at_early = sparsity_at(early, first=first, last=last)
    assert at_early <= sparsity_at(late, first=first, last=last) + 1e-12
    assert sparsity_at(0, first=first, last=last) == pytest.approx(first)
    assert sparsity_at(1, first=first, last=last) == pytest.approx(max(first, last))
    assert at_early >= first + early * (max(first, last) - first) - 1e-12


@given(WEIGHTS, SHARES)
def test_the_smallest_weights_go_and_the_others_stay_as_they_are(
    weights: np.ndarray, sparsity: float
) -> None:
    result = pruned(weights, sparsity)
    gone = (result == 0) & (weights != 0)
    assert np.array_equal(result[~gone], weights[~gone])
    assert (result == 0).sum() == max(int(sparsity * weights.size), (weights == 0).sum())
    if gone.any() and result.any():
        assert np.abs(weights[gone]).max() <= np.abs(result[result != 0]).min()
    assert np.array_equal(pruned(result, sparsity), result)


@settings(max_examples=50)
@given(WEIGHTS, st.integers(1, 8))
def test_a_centroid_is_the_mean_of_the_weights_nearest_to_it(
    weights: np.ndarray, count: int
) -> None:
    centroids = settled(weights, np.linspace(weights.min(), weights.max(), count))
    assert (np.diff(centroids) >= 0).all()
    nearest = np.abs(weights.reshape(-1, 1) - centroids).argmin(1)
    for place in np.unique(nearest):
        members = weights.reshape(-1)[nearest == place]
        inside = [
            w
            for w in members
            if np.sum(np.abs(w - centroids) <= abs(w - centroids[place]) + 1e-6) == 1
        ]
        if len(inside) == len(members):  # no weight lies midway between two
            assert centroids[place] == pytest.approx(np.mean(members), abs=1e-4)


def test_pruning_follows_the_curve_and_ends_with_the_share_asked_for() -> None:
    weights = kernel()
    compression = Compression([weights], sparsity=0.8)
    reached = []
    for share in (0.0, RAMP / 4, RAMP / 2, RAMP, 1.0):
        compression.advance(share)
        reached.append(zero_share(weights.numpy()))
    assert reached[0] == 0
    assert reached[1] == pytest.approx(sparsity_at(0.24, first=0, last=0.8), abs=0.01)
    assert reached[3] == reached[4] == pytest.approx(0.8, abs=0.001)
    assert not compression.is_complete(RAMP / 2)
    assert compression.is_complete(RAMP)


def test_what_is_zero_stays_zero_through_a_step() -> None:
    weights = kernel()
    weights.assign(pruned(weights.numpy(), 0.5))
    before = weights.numpy()
    compression = Compression([weights], clusters=8)
    free = compression.hold()
    compression.release(free)
    weights.assign_add(tf.ones_like(weights) * 0.1)
    compression.settle(free)
    after = weights.numpy()
    assert np.array_equal(after == 0, before == 0)
    assert np.allclose(after[after != 0], before[before != 0] + 0.1)


def test_a_step_sees_clustered_weights_and_moves_the_free_ones() -> None:
    weights = kernel()
    before = weights.numpy()
    compression = Compression([weights], clusters=8)
    free = compression.hold()
    seen = weights.numpy()
    assert len(np.unique(seen)) == 8
    assert np.abs(seen - before).mean() < 0.2
    compression.release(free)
    assert np.array_equal(weights.numpy(), before)


def test_the_values_move_with_the_weights() -> None:
    weights = kernel()
    compression = Compression([weights], clusters=8)
    first = compression.variables[0].numpy()
    free = compression.hold()
    compression.release(free)
    weights.assign_add(tf.ones_like(weights) * 0.01)
    compression.settle(free)
    assert np.allclose(compression.variables[0].numpy(), first + 0.01, atol=0.02)
    assert not np.array_equal(compression.variables[0].numpy(), first)


def test_zero_is_one_of_the_values_where_weights_are_pruned() -> None:
    weights = kernel()
    compression = Compression([weights], sparsity=0.5, clusters=8)
    compression.advance(1.0)
    (result,) = compression.compressed([weights], [weights.numpy() + 0.001])
    assert len(np.unique(result)) == 8
    assert zero_share(result) == 0.5


def test_averages_get_the_kernel_s_own_zeros() -> None:
    weights, other = kernel(), kernel(seed=1)
    compression = Compression([weights], sparsity=0.5)
    compression.advance(1.0)
    values = [other.numpy(), kernel(seed=2).numpy()]
    unchanged, result = compression.compressed([other, weights], values)
    assert unchanged is values[0]
    assert np.array_equal(result == 0, weights.numpy() == 0)
    assert np.array_equal(result[result != 0], values[1][result != 0])


def test_fewer_weights_than_values_are_left_alone() -> None:
    weights = kernel(shape=(1, 1, 2, 3))
    before = weights.numpy()
    compression = Compression([weights], clusters=16)
    free = compression.hold()
    assert np.array_equal(weights.numpy(), before)
    compression.release(free)
    assert not compression.variables


def test_without_kernels_nothing_happens() -> None:
    compression, weights = Compression(), kernel()
    values = [weights.numpy()]
    compression.advance(1.0)
    compression.release(compression.hold())
    assert compression.compressed([weights], values) == values
    assert compression.is_complete(0.0)
