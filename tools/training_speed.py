"""Our two phases beside plain Keras `fit` of the same network, layers and photos, in one run.

Phase 1: the head on a frozen body, 10 epochs: Keras passes each photo through the body once
an epoch, we once. Our time holds everything: conversion, frozen pass, training.
Phase 2: the upper half, without augmentation on either side. Our time holds the frozen pass.
Keras gets the photos decoded, as arrays: reading them is not what is compared. The two run
in turn. Targets: phase 1 at least 15 times faster with top-1 within a point, phase 2 twice.

    python tools/training_speed.py ../shared/data/catsdogs --arch mobilenet_v2 \
        --weights ../shared/weights/mobilenet_v2_1.0_notop.weights.h5 --size 128
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from edgecnn import zoo  # isort: skip - first: it silences TensorFlow
import keras
import numpy as np

from edgecnn.data import open_data
from edgecnn.training import Recipe, make_recipe
from edgecnn.training.course import Course
from edgecnn.training.phases import run_phases
from edgecnn.training.photos import decode_part
from edgecnn.training.work import WorkFolder

HEAD_EPOCHS = 10


@dataclasses.dataclass(frozen=True)
class Row:
    """What one side reached."""

    seconds: float
    images_per_second: float
    val_top1: float


def course(args: argparse.Namespace, recipe: Recipe, work: WorkFolder) -> Course:
    data = open_data(args.data, seed=0, split=(60, 10, 30))
    how = zoo.find(recipe.arch).preprocessing(recipe.size)
    photos = {part: decode_part(part, data.parts[part], how, work) for part in ("train", "val")}
    keras.utils.set_random_seed(0)
    start = zoo.open_weights(recipe.arch, recipe.weights, size=how.height)
    classes, dropout = len(data.classes), recipe.dropout
    return Course(
        recipe=recipe,
        model=zoo.classifier(recipe.arch, classes, shape=how.shape, dropout=dropout, weights=start),
        train=photos["train"],
        val=photos["val"],
        weights=np.ones(len(photos["train"].labels), np.float32),
        flip=True,
        work=work,
    )


def ours(args: argparse.Namespace, recipe: Recipe) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        prepared = course(args, recipe, WorkFolder(Path(folder)))
        phases, _ = run_phases(prepared)
    return Row(phases[-1].seconds, phases[-1].images_per_second, phases[-1].val_top1)


def plain(args: argparse.Namespace, recipe: Recipe, *, learns_from: str | None) -> Row:
    """Freeze all layers up to ``learns_from`` (None: the whole body) and call `fit`."""
    with tempfile.TemporaryDirectory() as folder:
        prepared = course(args, recipe, WorkFolder(Path(folder)))
        model = as_the_guide_says(prepared, learns_from)
        epochs = recipe.tune_epochs if learns_from else recipe.head_epochs
        rate = recipe.tune_rate if learns_from else recipe.head_rate
        train, val = (as_arrays(part) for part in (prepared.train, prepared.val))
        model.compile(
            keras.optimizers.AdamW(rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
        )
        started = time.perf_counter()
        history = model.fit(
            *train, batch_size=recipe.batch, epochs=epochs, validation_data=val, verbose=0
        )
        seconds = time.perf_counter() - started
    best = max(history.history["val_accuracy"])
    return Row(seconds, epochs * len(train[1]) / seconds, best)


def as_the_guide_says(prepared: Course, learns_from: str | None) -> keras.Model:
    """Build the network of Keras's guide to transfer learning: a body in inference mode."""
    body = prepared.pooled
    names = [layer.name for layer in body.layers]
    last = names.index(learns_from) if learns_from else len(names)
    for index, layer in enumerate(body.layers):
        layer.trainable = index > last
    image = keras.Input(body.input_shape[1:])
    x = keras.layers.Dropout(prepared.recipe.dropout)(body(image, training=False))
    classes = prepared.model.output_shape[-1]
    return keras.Model(image, keras.layers.Dense(classes, activation="softmax")(x))


def as_arrays(part: Any) -> tuple[Any, Any]:
    return np.asarray(part.pixels), part.labels


def show(name: str, pairs: list[tuple[Row, Row]], target: float) -> None:
    for mine, theirs in pairs:
        print(
            f"{name}: edgecnn {mine.seconds:.1f} s, {mine.images_per_second:.0f} images/s, "
            f"top-1 {mine.val_top1:.4f}; Keras {theirs.seconds:.1f} s, "
            f"{theirs.images_per_second:.0f} images/s, top-1 {theirs.val_top1:.4f}; "
            f"{mine.images_per_second / theirs.images_per_second:.1f} times",
            flush=True,
        )
    ratio = statistics.median(m.images_per_second / t.images_per_second for m, t in pairs)
    print(f"{name}: {ratio:.1f} times as fast, median of {len(pairs)} (target {target:g})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--arch", default="efficientnet_lite0")
    parser.add_argument("--weights", default="imagenet")
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--tune-epochs", type=int, default=12)
    parser.add_argument("--only", choices=["head", "tune"])
    args = parser.parse_args()
    network = {"arch": args.arch, "weights": args.weights, "size": args.size}
    network |= {"augment": "none", "mixup": 0.0}  # as the other side
    if args.only != "tune":
        recipe = make_recipe(**network, head_epochs=HEAD_EPOCHS, tune_epochs=0)
        pairs = [
            (ours(args, recipe), plain(args, recipe, learns_from=None)) for _ in range(args.rounds)
        ]
        show("head on a frozen body, 10 epochs", pairs, 15)
    if args.only != "head":
        recipe = make_recipe(**network, head_epochs=0, tune_epochs=args.tune_epochs)
        body = zoo.build(args.arch, shape=(args.size, args.size, 3))
        cuts = zoo.cut_points(body)
        cut = cuts[round(float(recipe.tune_from) * len(cuts)) - 1]
        pairs = [
            (ours(args, recipe), plain(args, recipe, learns_from=cut)) for _ in range(args.rounds)
        ]
        show(f"tuning the upper half, from {cut}", pairs, 2)


if __name__ == "__main__":
    main()
