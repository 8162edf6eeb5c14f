"""Photos and a recipe to a Checkpoint: frozen layers run once, the rest is trained.

A head is trained on cached features of the frozen body, then the upper blocks are tuned
on features cached at the boundary below them. A network without pretrained weights is
trained whole. A killed run continues to the same result.
"""

from __future__ import annotations

import edgecnn.zoo  # noqa: F401 - first: it silences TensorFlow before anything imports it
from edgecnn.training.augment import Augment
from edgecnn.training.recipe import Recipe, make_recipe, repeated
from edgecnn.training.train import rehearse, train

__all__ = ["Augment", "Recipe", "make_recipe", "rehearse", "repeated", "train"]
