"""A checkpoint's siblings: the same training in other widths and sizes."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edgecnn import data
from edgecnn.core import catalogue, progress
from edgecnn.core import checkpoint as checkpoints
from edgecnn.core.checkpoint import Card, Checkpoint, DataManifest
from edgecnn.core.errors import InputError
from edgecnn.flows.needs import needs


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sibling:
    """One training that a search asks for.

    Attributes:
        like: The checkpoint whose training is repeated.
        photos: What it was trained on.
        path: Its folder; the name is that of its files as well.
        finished: What an earlier run left there.
    """

    like: Checkpoint
    photos: DataManifest
    alpha: float
    size: int
    path: Path
    finished: Checkpoint | None


def planned(
    found: Sequence[Checkpoint],
    alphas: Sequence[float],
    sizes: Sequence[int],
    out: Path,
    *,
    force: bool,
) -> list[Sibling]:
    """Return what has to be trained for these widths and sizes, each network once.

    What would end one of the trainings ends here, before the first of them begins.

    Args:
        found: The checkpoints, which are not trained again.
        alphas: Widths; none: each checkpoint's own.
        sizes: Sides of the input; none: each checkpoint's own.
        out: Folder of the new checkpoints.
        force: Train those of an earlier run anew.

    Raises:
        InputError: a training that can't be repeated, its photos are gone, a width without
            weights, or a network that can't be trained here.
    """
    known = [_training(one.card) for one in found]
    siblings: list[Sibling] = []
    for one in found:
        own = one.card
        both = itertools.product(alphas or (own.alpha,), sizes or (own.preprocessing.height,))
        for alpha, size in both:
            wanted = _training(own, alpha=alpha, size=size)
            if not any(_is_same(some, wanted) for some in known):
                known.append(wanted)
                path = out / f"{own.name}-a{alpha}-s{size}"
                siblings.append(_sibling(one, alpha, size, path, force=force))
    _refuse_same_names(found, siblings)
    _refuse_untrainable([one for one in siblings if not one.finished])
    return siblings


def trained(siblings: Sequence[Sibling], *, force: bool) -> Iterator[Checkpoint]:
    """Train one after the other, each where an interrupted run of it stopped.

    Raises:
        InputError: an error of `train`.
        Interrupted: stopped by Ctrl-C.
    """
    for number, one in enumerate(siblings, start=1):
        if one.finished:
            yield one.finished
            continue
        progress.say(f"training {one.path.name}, sibling {number} of {len(siblings)}")
        with needs("training", "train"):
            from edgecnn import training
        yield training.train(
            one.photos.source,
            one.path,
            training.repeated(one.like.card, alpha=one.alpha, size=one.size),
            split=one.photos.split,
            resume=not force,
            force=True,
        )


def _training(card: Card, **changes: Any) -> dict[str, Any]:
    """Return all that the result of a checkpoint's training depends on, some of it changed."""
    return {
        **card.recipe,
        "alpha": card.alpha,
        "size": card.preprocessing.height,
        "photos": card.data and card.data.fingerprint,
        "split": card.data and card.data.split,
        "from": card.base,
        "teacher": card.teacher,
        **changes,
    }


def _is_same(one: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Tell whether a training is the wanted one; memory may have made its batch smaller."""
    batch = min(one.get("batch", 0), wanted.get("batch", 0))
    # A recipe of earlier days lacks the settings that came later.
    return {**wanted, "batch": batch}.items() <= {"batch": 0, **one}.items()


def _sibling(like: Checkpoint, alpha: float, size: int, path: Path, *, force: bool) -> Sibling:
    """Return a sibling that the checkpoint's card has all for."""
    card = like.card
    if card.data is None or card.base or card.teacher:
        raise _unrepeatable(like)
    _refuse_width(card, alpha)
    finished = checkpoints.read(path) if path.exists() and not force else None
    if finished and not _is_same(_training(finished.card), _training(card, alpha=alpha, size=size)):
        raise InputError(
            f"another training than that of {like.path}",
            where=path,
            fix="choose another --out, or add --force to train it anew",
        )
    return Sibling(
        like=like, photos=card.data, alpha=alpha, size=size, path=path, finished=finished
    )


def _unrepeatable(one: Checkpoint) -> InputError:
    card = one.card
    if card.base:
        what = f"a checkpoint that was fine-tuned from {card.base.name}"
        why = "another network has nothing to start from"
    elif card.teacher:
        what = f"a checkpoint that learned from a teacher, {card.teacher.name}"
        why = "its card doesn't say where that is"
    else:
        what, why = "a checkpoint that was not trained here", "there is no training to repeat"
    return InputError(what, where=one.path, fix=f"leave out --alpha and --size: {why}")


def _refuse_width(card: Card, alpha: float) -> None:
    source = card.recipe["weights"]
    if alpha == card.alpha or source == "none":
        return
    if source != "imagenet":
        raise InputError(
            f"{alpha:g} where {card.name} began with {source}, weights of {card.alpha:g}",
            where="--alpha",
            fix="leave it out: another width needs other weights",
        )
    if alpha not in (known := catalogue.published(card.arch)):
        raise InputError(
            f"no imagenet weights of {card.arch} for alpha {alpha:g}",
            where="--alpha",
            fix=f"they exist for {', '.join(f'{value:g}' for value in sorted(known))}",
        )


def _refuse_same_names(found: Sequence[Checkpoint], siblings: Sequence[Sibling]) -> None:
    given = {one.card.name: one.path for one in found}
    for one in siblings:
        if one.path.name in given:
            raise InputError(
                f"the name that a sibling of {one.like.path} would have ({one.path.name})",
                where=given[one.path.name],
                fix="train it into a folder of another name",
            )


def _refuse_untrainable(siblings: Sequence[Sibling]) -> None:
    """Refuse photos that are no longer those of the card, and networks that can't be trained."""
    photos = {(one.photos.source, one.photos.fingerprint) for one in siblings}
    for source, fingerprint in sorted(photos):
        if data.open_data(source).manifest.fingerprint != fingerprint:
            raise InputError(
                "other photos than the checkpoint was trained on",
                where=source,
                fix="bring them back, or train it again on these",
            )
    if not siblings:
        return
    with needs("training", "train"):
        from edgecnn import training
    for one in siblings:
        recipe = training.repeated(one.like.card, alpha=one.alpha, size=one.size)
        training.rehearse(recipe, one.like.card.classes)
