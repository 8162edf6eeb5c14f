"""Photos and a recipe to a checkpoint; a killed run can be continued."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import time
from pathlib import Path
from typing import Any

import tensorflow as tf  # isort: skip - before keras, or the converter fails later
import keras
import numpy as np

from edgecnn import zoo
from edgecnn.core import checkpoint, files
from edgecnn.core.checkpoint import Card, Checkpoint
from edgecnn.core.errors import Interrupted
from edgecnn.core.image import Pixels, Preprocessing
from edgecnn.core.memory import peak_rss_mb
from edgecnn.core.progress import say
from edgecnn.core.runner import Scores
from edgecnn.data import Dataset, open_data, require_trainable
from edgecnn.data.balance import class_weights
from edgecnn.evaluate import evaluate
from edgecnn.training import memory
from edgecnn.training.phases import Course, run_phases
from edgecnn.training.photos import decode_part
from edgecnn.training.precision import on_gpu, require_gpu
from edgecnn.training.recipe import Recipe
from edgecnn.training.work import WorkFolder, open_work, work_of

# A mirrored digit is another sign, or none.
_NOT_MIRRORED = frozenset({"digits", "mnist"})
_PACKAGES = ("edgecnn", "tensorflow", "keras", "numpy", "pillow")


def train(  # noqa: PLR0913 - the command's own options
    source: str,
    out: Path,
    recipe: Recipe,
    *,
    split: tuple[float, float, float] = (75, 15, 10),
    resume: bool = False,
    force: bool = False,
    name: str | None = None,
    free_bytes: int | None = None,
) -> Checkpoint:
    """Train a classifier and write its checkpoint.

    Args:
        source: DATA as the command line has it.
        out: The checkpoint's folder; while training runs, ``.<name>.work`` lies beside it.
        recipe: How to train.
        split: Shares of train, val and test, for a folder that isn't split.
        resume: Continue an interrupted run of the same data and recipe, to the same result.
        force: Take the place of an earlier checkpoint.
        name: The run's name, for its artefacts' names; by default the folder's.
        free_bytes: Memory that the run may take; None: what this machine has free. A batch
            that takes more is made smaller.

    Raises:
        InputError: unusable data, options or output folder, or too little memory.
        Interrupted: stopped by Ctrl-C; ``resume`` continues.
    """
    started = time.perf_counter()
    if recipe.mixed_precision:
        require_gpu()
    files.refuse_existing(out, force=force or resume)
    dataset = open_data(source, seed=recipe.seed, split=split)
    require_trainable(dataset)
    if resume and (finished := _finished(out, dataset, recipe)):
        return finished
    files.refuse_existing(out, force=force)
    for warning in dataset.warnings:
        say(f"note: {warning}")
    start = _start(recipe, len(dataset.classes))  # unusable weights stop here, before any file
    asked, recipe = recipe, _affordable(recipe, start.model, out, free_bytes, resume=resume)
    plan = {**_plan(dataset, recipe), "batch_asked": asked.batch}
    work = open_work(out, plan, resume=resume)
    try:
        card = _train(dataset, recipe, start, work, name=name or out.resolve().name)
        seconds = max(time.perf_counter() - started, sum(phase.seconds for phase in card.phases))
        written = checkpoint.write(
            out,
            dataclasses.replace(card, seconds=seconds),
            save_model=lambda path: zoo.save_model(start.model, path),
            replace=force,
        )
    except KeyboardInterrupt:
        raise Interrupted(f"stopped: give the same command with --resume to finish {out}") from None
    work.remove()
    return written


def _affordable(
    recipe: Recipe, model: keras.Model, out: Path, free_bytes: int | None, *, resume: bool
) -> Recipe:
    """Return the recipe with a batch that memory allows, or the one that a run began with."""
    earlier = work_of(out).load_json("plan") if resume else None
    if isinstance(earlier, dict) and earlier.get("batch_asked") == recipe.batch:
        return dataclasses.replace(recipe, batch=earlier["batch"])
    if free_bytes is None and not on_gpu():  # whose memory is another
        free_bytes = memory.free_memory()
    return memory.fitting(recipe, model, free_bytes)


def _finished(out: Path, dataset: Dataset, recipe: Recipe) -> Checkpoint | None:
    """Return the checkpoint of just this run, if it was written before the kill came."""
    if not out.exists():
        return None
    written = checkpoint.read(out)
    card, data = written.card, written.card.data
    same_data = data is not None and data.fingerprint == dataset.manifest.fingerprint
    asked = dataclasses.asdict(recipe)
    # Memory may have made the batch smaller than what was asked for.
    asked["batch"] = min(asked["batch"], card.recipe.get("batch", 0))
    if not same_data or card.recipe != asked:
        return None
    say(f"{out} is complete: there is nothing to resume")
    work_of(out).remove()
    return written


def _plan(dataset: Dataset, recipe: Recipe) -> dict[str, Any]:
    """Return all that the result depends on; an interrupted run with another plan is refused."""
    manifest, start = dataset.manifest, Path(recipe.weights)
    return {
        **dataclasses.asdict(recipe),
        "photos": manifest.fingerprint,
        "split": manifest.split,
        "start": files.sha256(start) if start.is_file() else None,
        "versions": _versions(),
    }


@dataclasses.dataclass(frozen=True, eq=False)
class _Start:
    """The classifier before training: its network, its preprocessing, whence its weights."""

    model: keras.Model
    how: Preprocessing
    weights: zoo.Weights


def _start(recipe: Recipe, classes: int) -> _Start:
    how = zoo.find(recipe.arch).preprocessing(
        recipe.size, resize=recipe.resize, channels=recipe.channels
    )
    if recipe.crop is not None:
        how = dataclasses.replace(how, crop=recipe.crop)
    keras.utils.set_random_seed(recipe.seed)
    name, alpha = recipe.arch, recipe.alpha
    weights = zoo.open_weights(name, recipe.weights, alpha=alpha, size=how.height)
    model = zoo.classifier(
        name, classes, shape=how.shape, alpha=alpha, dropout=recipe.dropout, weights=weights
    )
    return _Start(model, how, weights)


def _train(dataset: Dataset, recipe: Recipe, start: _Start, work: WorkFolder, *, name: str) -> Card:
    how, model = start.how, start.model
    photos = {part: decode_part(part, dataset.parts[part], how, work) for part in ("train", "val")}
    counts = np.bincount(photos["train"].labels, minlength=len(dataset.classes))
    course = Course(
        recipe=recipe,
        model=model,
        train=photos["train"],
        val=photos["val"],
        weights=class_weights(counts.tolist())[photos["train"].labels],
        flip=recipe.flip if recipe.flip is not None else dataset.source not in _NOT_MIRRORED,
        work=work,
    )
    phases, history = run_phases(course)
    runner = ModelRunner(model, dataset.classes, how)
    scores, skipped = [], sum(part.skipped for part in photos.values())
    for part in ("val", "test"):
        if dataset.parts.get(part):
            reached, unread = evaluate(runner, dataset.parts[part], split=part)
            scores.append(reached)
            skipped += len(unread) if part == "test" else 0
    cost = zoo.cost(model)
    return Card(
        name=name,
        task="classify",
        classes=dataset.classes,
        arch=recipe.arch,
        alpha=recipe.alpha,
        preprocessing=how,
        normalization=(
            start.weights.normalization or zoo.find(recipe.arch).normalization
        ).for_channels(how.channels),
        padding=start.weights.padding,
        weights=start.weights.label,
        params=cost.params,
        macs=cost.macs,
        recipe=dataclasses.asdict(recipe),
        data=dataclasses.replace(dataset.manifest, skipped=skipped),
        phases=phases,
        history=history,
        scores=tuple(scores),
        seconds=0.0,
        peak_rss_mb=peak_rss_mb(),
        model_sha256="",
        versions=_versions(),
    )


class ModelRunner:
    """A Keras model in memory as a `Runner`."""

    def __init__(self, model: keras.Model, classes: tuple[str, ...], how: Preprocessing) -> None:
        self.classes = classes
        self.preprocessing = how
        self._answer = tf.function(lambda x: model(x, training=False), reduce_retracing=True)

    def run(self, batch: Pixels) -> Scores:
        """Return probabilities [N, classes], float32."""
        return self._answer(tf.constant(batch.astype(np.float32))).numpy()


def _versions() -> dict[str, str]:
    return {package: importlib.metadata.version(package) for package in _PACKAGES}
