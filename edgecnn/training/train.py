"""Photos and a recipe to a checkpoint; a killed run can be continued."""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf  # isort: skip - before keras, or the converter fails later
import keras
import numpy as np

from edgecnn import zoo
from edgecnn.core import checkpoint, files
from edgecnn.core.checkpoint import Card, Checkpoint, Origin, Scores
from edgecnn.core.errors import InputError, Interrupted
from edgecnn.core.image import Pixels, Preprocessing
from edgecnn.core.memory import peak_rss_mb
from edgecnn.core.progress import say
from edgecnn.core.runner import Scores as Probabilities
from edgecnn.data import Dataset, open_data, require_trainable
from edgecnn.data.balance import class_weights
from edgecnn.data.split import DEFAULT_SPLIT
from edgecnn.evaluate import evaluate
from edgecnn.training import memory
from edgecnn.training.course import Course
from edgecnn.training.kernels import kernels_of, report
from edgecnn.training.phases import run_phases
from edgecnn.training.photos import Photos, decode_part
from edgecnn.training.precision import on_gpu, require_gpu
from edgecnn.training.recipe import Recipe
from edgecnn.training.start import Start, begin
from edgecnn.training.teacher import Taught, Teacher, require_same_photos, warn_of_leaks
from edgecnn.training.work import WorkFolder, open_work, work_of

# A mirrored digit is another sign, or none.
_NOT_MIRRORED = frozenset({"digits", "mnist"})
_PACKAGES = ("edgecnn", "tensorflow", "keras", "numpy", "pillow")


def train(  # noqa: PLR0913 - the command's own options
    source: str,
    out: Path,
    recipe: Recipe,
    *,
    split: tuple[float, float, float] | None = None,
    teacher: Checkpoint | None = None,
    base: Checkpoint | None = None,
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
        split: Shares of train, val and test, for a folder that isn't split; None: 75, 15 and
            10, or the base's.
        teacher: A checkpoint whose answers are learned beside the labels.
        base: The checkpoint that is fine-tuned; the recipe was made for it.
        resume: Continue an interrupted run of the same data and recipe, to the same result.
        force: Take the place of an earlier checkpoint; and with ``resume``, of an interrupted
            run of something else.
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
    dataset = _open(source, recipe, split, base)
    origins = _Origins(base.origin if base else None, teacher.origin if teacher else None)
    if resume and (finished := _finished(out, dataset, recipe, origins)):
        return finished
    files.refuse_existing(out, force=force)
    for warning in dataset.warnings:
        say(f"note: {warning}")
    # Unusable weights stop here, before any file.
    start = begin(recipe, dataset.classes, base)
    tutor = _open_teacher(teacher, dataset)
    asked, recipe = recipe, _affordable(recipe, start.model, out, free_bytes, resume=resume)
    plan = {**_plan(dataset, recipe, origins), "batch_asked": asked.batch}
    work = open_work(out, plan, resume=resume, force=force)
    try:
        card = _train(dataset, recipe, start, work, tutor)
        card = _named(card, name or out.resolve().name, origins, started)
        save = functools.partial(zoo.save_model, start.model)
        written = checkpoint.write(out, card, save_model=save, replace=force)
    except KeyboardInterrupt:
        raise Interrupted(f"stopped: give the same command with --resume to finish {out}") from None
    work.remove()
    return written


def rehearse(recipe: Recipe, classes: Sequence[str], *, free_bytes: int | None = None) -> None:
    """Refuse what can't be trained here, long before its turn; nothing is written.

    Raises:
        InputError: no such network, unusable weights, no GPU, or too little memory.
    """
    if recipe.mixed_precision:
        require_gpu()
    least = dataclasses.replace(recipe, batch=min(recipe.batch, memory.LEAST_BATCH))
    memory.fitting(least, begin(recipe, classes, None).model, _free(free_bytes))


def _named(card: Card, name: str, origins: _Origins, started: float) -> Card:
    """Return the card with what only the whole run knows."""
    seconds = max(time.perf_counter() - started, sum(phase.seconds for phase in card.phases))
    return dataclasses.replace(
        card, name=name, base=origins.base, teacher=origins.teacher, seconds=seconds
    )


@dataclasses.dataclass(frozen=True)
class _Origins:
    """The checkpoints that a run depends on."""

    base: Origin | None
    teacher: Origin | None


def _open(
    source: str,
    recipe: Recipe,
    split: tuple[float, float, float] | None,
    base: Checkpoint | None,
) -> Dataset:
    """Open the photos; those that a fine-tuned checkpoint learned from stay among train's."""
    known = base.card.data if base else None
    if known is None:
        dataset = open_data(source, seed=recipe.seed, split=split or DEFAULT_SPLIT)
    else:
        shares = known.split or DEFAULT_SPLIT
        if split is not None and tuple(split) != tuple(shares):
            raise InputError(
                "other shares than the checkpoint's run had",
                where="--split",
                fix="leave it out, so that no photo it learned from judges it",
            )
        dataset = open_data(source, seed=known.seed, split=shares)
    require_trainable(dataset)
    return dataset


def _open_teacher(teacher: Checkpoint | None, dataset: Dataset) -> Teacher | None:
    if teacher is None:
        return None
    warn_of_leaks(teacher, dataset.manifest)
    return Teacher(teacher, dataset.classes)


def _affordable(
    recipe: Recipe, model: keras.Model, out: Path, free_bytes: int | None, *, resume: bool
) -> Recipe:
    """Return the recipe with a batch that memory allows, or the one that a run began with."""
    earlier = work_of(out).load_json("plan") if resume else None
    if isinstance(earlier, dict) and earlier.get("batch_asked") == recipe.batch:
        return dataclasses.replace(recipe, batch=earlier["batch"])
    return memory.fitting(recipe, model, _free(free_bytes))


def _free(known: int | None) -> int | None:
    """Return the memory that a run may take; None on a GPU, whose memory is another."""
    return memory.free_memory() if known is None and not on_gpu() else known


def _finished(out: Path, dataset: Dataset, recipe: Recipe, origins: _Origins) -> Checkpoint | None:
    """Return the checkpoint of just this run, if it was written before the kill came."""
    if not out.exists():
        return None
    written = checkpoint.read(out)
    card, data = written.card, written.card.data
    same_data = data is not None and data.fingerprint == dataset.manifest.fingerprint
    asked = dataclasses.asdict(recipe)
    # Memory may have made the batch smaller than what was asked for.
    asked["batch"] = min(asked["batch"], card.recipe.get("batch", 0))
    # A recipe of earlier days lacks the settings that came later, all of them unset.
    recalled = {**dataclasses.asdict(Recipe()), **card.recipe}
    if not same_data or recalled != asked or _Origins(card.base, card.teacher) != origins:
        return None
    say(f"{out} is complete: there is nothing to resume")
    work_of(out).remove()
    return written


def _plan(dataset: Dataset, recipe: Recipe, origins: _Origins) -> dict[str, Any]:
    """Return all that the result depends on; an interrupted run with another plan is refused."""
    manifest, start = dataset.manifest, Path(recipe.weights)
    has_file = origins.base is None and start.is_file()
    return {
        **dataclasses.asdict(recipe),
        "photos": manifest.fingerprint,
        "split": manifest.split,
        "start": files.sha256(start) if has_file else None,
        "from": origins.base and origins.base.sha256,
        "teacher": origins.teacher and origins.teacher.sha256,
        "versions": _versions(),
    }


def _train(
    dataset: Dataset, recipe: Recipe, start: Start, work: WorkFolder, tutor: Teacher | None
) -> Card:
    """Return the card of a training, its name and its origins still to be filled in."""
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
        taught=_taught(tutor, dataset, how, photos["train"], work) if tutor else None,
    )
    phases, history = run_phases(course)
    skipped, scores = _scores(dataset, start)
    cost = zoo.cost(model)
    return Card(
        name="",
        task="classify",
        classes=dataset.classes,
        arch=recipe.arch,
        alpha=recipe.alpha,
        preprocessing=how,
        normalization=start.normalization,
        padding=start.padding,
        weights=start.weights,
        params=cost.params,
        macs=cost.macs,
        recipe=dataclasses.asdict(recipe),
        data=dataclasses.replace(
            dataset.manifest, skipped=skipped + sum(part.skipped for part in photos.values())
        ),
        phases=phases,
        history=history,
        scores=scores,
        seconds=0.0,
        peak_rss_mb=peak_rss_mb(),
        model_sha256="",
        versions=_versions(),
        compression=report(kernels_of(model, recipe.compress)) if recipe.is_compressing else (),
    )


def _taught(
    tutor: Teacher, dataset: Dataset, how: Preprocessing, seen: Photos, work: WorkFolder
) -> Taught:
    """Return the training photos as the teacher sees them."""
    if tutor.preprocessing == how:
        return Taught(tutor, seen.pixels)
    photos = decode_part(
        "train", dataset.parts["train"], tutor.preprocessing, work, viewer="teacher-"
    )
    require_same_photos(seen, photos, where=dataset.source)
    return Taught(tutor, photos.pixels)


def _scores(dataset: Dataset, start: Start) -> tuple[int, tuple[Scores, ...]]:
    """Return how many test photos could not be read, and what val and test say."""
    runner = ModelRunner(start.model, dataset.classes, start.how)
    scores, skipped = [], 0
    for part in ("val", "test"):
        if dataset.parts.get(part):
            reached, unread = evaluate(runner, dataset.parts[part], split=part)
            scores.append(reached)
            skipped += len(unread) if part == "test" else 0
    return skipped, tuple(scores)


class ModelRunner:
    """A Keras model in memory as a `Runner`."""

    def __init__(self, model: keras.Model, classes: tuple[str, ...], how: Preprocessing) -> None:
        self.classes = classes
        self.preprocessing = how
        self._answer = tf.function(lambda x: model(x, training=False), reduce_retracing=True)

    def run(self, batch: Pixels) -> Probabilities:
        """Return probabilities [N, classes], float32."""
        return self._answer(tf.constant(batch.astype(np.float32))).numpy()


def _versions() -> dict[str, str]:
    return {package: importlib.metadata.version(package) for package in _PACKAGES}
