import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

tf = pytest.importorskip("tensorflow")

from edgecnn.training.loss import Distillation, Targets, loss_of, mix  # noqa: E402

pytestmark = pytest.mark.tensorflow

LOGITS = arrays(np.float32, (4, 3), elements=st.floats(-8, 8, width=32))
ONES = tf.ones(4)
HARD = tf.one_hot([0, 1, 2, 0], 3)


def taught(logits: object, how: Distillation, teacher: object) -> float:
    return float(loss_of(Targets(hard=HARD, soft=how.soft(teacher)), logits, ONES, how))


@settings(max_examples=30)
@given(LOGITS, st.floats(0.5, 20), st.floats(-5, 5, width=32))
def test_a_student_that_agrees_has_nothing_to_learn(
    logits: np.ndarray, temperature: float, shift: float
) -> None:
    how = Distillation(weight=1.0, temperature=temperature)
    assert taught(logits, how, logits + shift) == pytest.approx(0, abs=1e-3)


@settings(max_examples=30)
@given(LOGITS, LOGITS, st.floats(0.5, 20))
def test_disagreement_costs(student: np.ndarray, teacher: np.ndarray, temperature: float) -> None:
    how = Distillation(weight=1.0, temperature=temperature)
    assert taught(student, how, teacher) >= -1e-3


def test_without_weight_the_labels_alone_decide() -> None:
    logits = tf.constant(np.random.default_rng(0).normal(size=(4, 3)), tf.float32)
    how = Distillation(weight=0.0, temperature=4.0)
    plain = loss_of(Targets(hard=HARD), logits, ONES, how)
    assert taught(logits, how, -logits) == pytest.approx(float(plain))


def test_a_photo_s_weight_counts_for_the_teacher_too() -> None:
    how = Distillation(weight=1.0, temperature=2.0)
    logits = tf.constant([[1.0, 0.0, 0.0]] * 4)
    targets = Targets(hard=HARD, soft=how.soft(tf.constant([[0.0, 3.0, 0.0]] * 4)))
    heavy = loss_of(targets, logits, 2 * ONES, how)
    assert float(heavy) == pytest.approx(2 * float(loss_of(targets, logits, ONES, how)))


def test_the_teacher_pulls_as_hard_at_any_high_temperature() -> None:
    sizes = []
    for temperature in (10.0, 40.0):
        how = Distillation(weight=1.0, temperature=temperature)
        logits = tf.Variable(tf.zeros((4, 3)))
        with tf.GradientTape() as tape:
            soft = how.soft(tf.constant([[2.0, 0.0, -1.0]] * 4))
            loss = loss_of(Targets(hard=HARD, soft=soft), logits, ONES, how)
        sizes.append(float(tf.norm(tape.gradient(loss, logits))))
    assert sizes[0] == pytest.approx(sizes[1], rel=0.1)


def test_labels_and_answers_are_mixed_as_their_photos_are() -> None:
    inputs = tf.eye(4)
    mixed, targets = mix(inputs, Targets(hard=inputs, soft=2 * inputs), 0.4, [1, 2])
    assert not np.array_equal(mixed, inputs)
    assert np.allclose(mixed, targets.hard)
    assert np.allclose(2 * mixed, targets.soft)
