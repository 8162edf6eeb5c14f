"""The classifier before training: pretrained, random, or another checkpoint's."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import keras

from edgecnn import zoo
from edgecnn.core.checkpoint import Checkpoint, Padding
from edgecnn.core.image import Preprocessing
from edgecnn.core.normalization import Normalization
from edgecnn.training.recipe import CHECKPOINT, Recipe
from edgecnn.training.teacher import same_classes


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Start:
    """Where training begins.

    Attributes:
        model: Photos to probabilities; its weights will change.
        how: Its preprocessing.
        weights: Where they came from, in the card's words.
        normalization: What the weights want to see.
        padding: How their strided layers pad.
    """

    model: keras.Model
    how: Preprocessing
    weights: str
    normalization: Normalization
    padding: Padding


def begin(recipe: Recipe, classes: Sequence[str], base: Checkpoint | None) -> Start:
    """Make the classifier that a recipe begins with.

    Args:
        recipe: How to train.
        classes: The photos'.
        base: The checkpoint to fine-tune; None: what the recipe's weights say.

    Raises:
        InputError: no such network, unusable weights, or a checkpoint of other classes.
    """
    if (base is not None) != (recipe.weights == CHECKPOINT):
        raise ValueError("a checkpoint to fine-tune and a recipe that was not made for it")
    keras.utils.set_random_seed(recipe.seed)
    return _of_weights(recipe, len(classes)) if base is None else _of_checkpoint(base, classes)


def _of_weights(recipe: Recipe, classes: int) -> Start:
    name, alpha, architecture = recipe.arch, recipe.alpha, zoo.find(recipe.arch)
    how = architecture.preprocessing(recipe.size, resize=recipe.resize, channels=recipe.channels)
    if recipe.crop is not None:
        how = dataclasses.replace(how, crop=recipe.crop)
    weights = zoo.open_weights(name, recipe.weights, alpha=alpha, size=how.height)
    model = zoo.classifier(
        name, classes, shape=how.shape, alpha=alpha, dropout=recipe.dropout, weights=weights
    )
    normalization = weights.normalization or architecture.normalization
    return Start(
        model=model,
        how=how,
        weights=weights.label,
        normalization=normalization.for_channels(how.channels),
        padding=weights.padding,
    )


def _of_checkpoint(base: Checkpoint, classes: Sequence[str]) -> Start:
    card, order = base.card, same_classes(base, classes)
    model = zoo.restore(base)
    logits = model.get_layer("logits")
    logits.set_weights([weights[..., order] for weights in logits.get_weights()])
    return Start(
        model=model,
        how=card.preprocessing,
        weights=card.weights,
        normalization=card.normalization,
        padding=card.padding,
    )
