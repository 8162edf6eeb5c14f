"""Training with rounding: what it mends, what it keeps, and that the file computes it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from edgecnn.core.errors import InputError
from edgecnn.core.normalization import same_for_all
from edgecnn.quantize.grid import Grid, input_grid

pytest.importorskip("tensorflow")

import tensorflow as tf

from edgecnn.convert import tflite as to_tflite
from edgecnn.convert.fold import fold_batch_norm
from edgecnn.convert.frozen import freeze, freeze_call
from edgecnn.quantize import tflite
from edgecnn.quantize.aware_training import AwareTraining, train_aware
from edgecnn.quantize.plan import Plan, Tensor
from edgecnn.quantize.planning import make_plan
from edgecnn.quantize.simulation import Simulation

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

NORMALIZATION = same_for_all(1 / 127.5, -1.0)
QUICK = AwareTraining(epochs=3, batch=8, rate=0.5, seed=1)


def planned(content: bytes, inputs: list[np.ndarray]) -> Plan:
    grid, shift = input_grid(NORMALIZATION)
    seen = tflite.observe(content, inputs).tensors
    return make_plan(content, seen, input_grid=grid, input_shift=shift)


@pytest.fixture(scope="module")
def content(separable_network) -> bytes:
    return to_tflite.float32(freeze(fold_batch_norm(separable_network, start="normalize")))


@pytest.fixture(scope="module")
def inputs(pictures) -> list[np.ndarray]:
    return [NORMALIZATION.apply(picture[None]) for picture in pictures]


@pytest.fixture(scope="module")
def damaged(content, inputs) -> Plan:
    """A plan whose ranges clip half of what they should hold."""
    plan = planned(content, inputs[:16])
    fixed = {plan.input, Simulation(content, plan).graph.output}
    tensors = {
        name: tensor if name in fixed else narrower(tensor) for name, tensor in plan.tensors.items()
    }
    return dataclasses.replace(plan, tensors=tensors)


def narrower(tensor: Tensor) -> Tensor:
    grid = Grid(tensor.grid.scale * 0.5, tensor.grid.zero_point)
    return Tensor(low=grid.low, high=grid.high, grid=grid)


def run_file(content: bytes, pictures: Any) -> np.ndarray:
    """Return what an int8 file answers to pixels, or a float one to floats."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    outputs = []
    for picture in pictures:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture)
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0])
    return np.stack(outputs).astype(np.float32)


def error(content: bytes, plan: Plan, inputs: list[np.ndarray], pictures: np.ndarray) -> float:
    """Return how far the int8 file's probabilities are from the float file's, on average."""
    written = tflite.quantize(content, plan, io="uint8").content
    found = run_file(written, (picture[None] for picture in pictures)) / 256
    return float(np.abs(found - run_file(content, inputs)).mean())


def test_training_mends_a_plan_with_bad_ranges(content, damaged, inputs, pictures):
    settings = AwareTraining(epochs=12, batch=8, rate=0.5, seed=1)
    trained = train_aware(content, damaged, inputs[:48], settings=settings)
    before = error(content, damaged, inputs[48:], pictures[48:])
    after = error(content, trained, inputs[48:], pictures[48:])
    assert after < 0.6 * before


def test_the_file_answers_as_the_simulation_did(checkpoint):
    """On a trained network and photos that it has not seen."""
    from edgecnn import data, zoo

    network = zoo.restore(checkpoint)
    card = checkpoint.card
    content = to_tflite.float32(freeze(fold_batch_norm(network, start="normalize")))
    photos, unseen = (
        np.concatenate(
            [batch.pixels for batch in data.Reader(examples_of(card, part), card.preprocessing)]
        )
        for part in ("val", "test")
    )
    inputs = [NORMALIZATION.apply(photo[None]) for photo in photos]
    plan = train_aware(content, planned(content, inputs), inputs, settings=QUICK)
    integers = (unseen.astype(np.int16) - 128).astype(np.int8)
    written = tflite.quantize(content, plan, io="int8").content
    in_file = run_file(written, (photo[None] for photo in integers))
    simulation = Simulation(content, plan)
    simulated = simulation(tf.constant(integers))[1].numpy() * 256 - 128
    assert np.mean(in_file.argmax(1) == simulated.argmax(1)) >= 0.995
    assert np.abs(in_file - simulated).mean() < 0.1


def examples_of(card: Any, part: str) -> Any:
    from edgecnn import data

    return tuple(data.examples_for(card.data.source, card.classes, card.data, split=part)[0])


def test_what_is_trained_says_so_and_keeps_what_kernels_dictate(content, damaged, inputs):
    trained = train_aware(content, damaged, inputs[:48], settings=QUICK)
    for name, layer in trained.layers.items():
        assert layer.precision == damaged.layers[name].precision
        assert (layer.rounding == "trained") == (layer.rounded is not None)
        if layer.rounded is not None:
            assert layer.rounded.weights.dtype == np.int8
            assert np.abs(layer.rounded.weights.astype(int)).max() <= 127
    assert trained.tensors[trained.input] == damaged.tensors[damaged.input]
    for name, tensor in trained.tensors.items():
        assert tensor.grid.zero_point == damaged.tensors[name].grid.zero_point


def test_the_same_seed_gives_the_same_integers(content, damaged, inputs):
    first, second = (
        train_aware(content, damaged, inputs[:48], settings=QUICK).to_json() for _ in range(2)
    )
    assert first == second != damaged.to_json()


def test_another_seed_takes_another_way(content, damaged, inputs):
    one, other = (
        train_aware(
            content, damaged, inputs[:48], settings=dataclasses.replace(QUICK, seed=seed)
        ).to_json()
        for seed in (1, 2)
    )
    assert one != other


def test_a_rate_that_ruins_the_network_leaves_the_plan_that_came(content, inputs):
    plan = planned(content, inputs[:16])
    ruinous = AwareTraining(epochs=1, batch=8, rate=200.0, seed=1)
    assert train_aware(content, plan, inputs[:48], settings=ruinous) is plan


def test_labels_pull_the_answers_towards_them(content, damaged, inputs, pictures):
    """All photos labelled alike: that class gains, though the float answers are others."""
    settings = AwareTraining(epochs=12, batch=8, rate=1.0, seed=1, label_share=0.99)
    label = int(np.bincount(run_file(content, inputs).argmax(1), minlength=5).argmax())
    share = {}
    for labels in (None, [label] * 32):
        plan = train_aware(content, damaged, inputs[:32], labels=labels, settings=settings)
        written = tflite.quantize(content, plan, io="uint8").content
        answers = run_file(written, (picture[None] for picture in pictures))
        share[labels is not None] = float(answers[:, label].mean())
    assert share[True] > share[False]


def test_an_output_without_a_softmax_is_matched_in_its_values(inputs):
    weights = np.random.default_rng(0).normal(0, 0.4, (3, 3, 3, 4)).astype(np.float32)
    content = to_tflite.float32(
        freeze_call(lambda x: tf.nn.conv2d(x, weights, 2, "SAME"), inputs[0].shape)
    )
    plan = planned(content, inputs[:16])
    tensors = {
        name: tensor if name == plan.input else narrower(tensor)
        for name, tensor in plan.tensors.items()
    }
    bad = dataclasses.replace(plan, tensors=tensors)
    settings = AwareTraining(epochs=6, batch=8, rate=2.0, seed=1)
    trained = train_aware(content, bad, inputs[:48], settings=settings)
    (output,) = set(plan.tensors) - {plan.input}
    assert trained.tensors[output].grid.scale > 1.2 * bad.tensors[output].grid.scale


@pytest.mark.parametrize(
    ("photos", "labels", "message"),
    [
        (2, None, "2 photos"),
        (8, [0, 1], "2 labels for 8 photos"),
    ],
)
def test_too_little_to_learn_from_is_refused(content, damaged, inputs, photos, labels, message):
    with pytest.raises(InputError, match=message):
        train_aware(content, damaged, inputs[:photos], labels=labels, settings=QUICK)


def test_a_photo_of_no_numbers_is_refused(content, damaged, inputs):
    broken = [*inputs[:6], np.full_like(inputs[0], np.nan)]
    with pytest.raises(InputError, match="photo 6"):
        train_aware(content, damaged, broken, settings=QUICK)


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"batch": 0}, {"kept_aside": 1.0}, {"label_share": -0.1}]
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        AwareTraining(**wrong)


def test_one_photo_at_least_is_left_to_learn_from(content, damaged, inputs):
    greedy = AwareTraining(epochs=1, batch=8, kept_aside=0.99)
    assert train_aware(content, damaged, inputs[:4], settings=greedy).layers.keys()
