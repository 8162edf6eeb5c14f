"""What a run takes of this machine's memory, known before it begins.

The figures are a little high on purpose: a run that ends for want of memory has wasted
more than a batch that could have been larger.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import keras

from edgecnn import zoo
from edgecnn.core.errors import InputError
from edgecnn.core.progress import say
from edgecnn.training.phases import learning_part
from edgecnn.training.recipe import Recipe

# Measured peaks of whole runs on 2 cores, TensorFlow 2.21; tools/training_memory.py measures.
BASE_BYTES = 620_000_000
"""TensorFlow and Keras, before anything is built."""
_STEP_BYTES = 250_000_000  # compiled steps, the augmentation's photos, the converter
# A weight, its gradient, Adam's two averages, the running average, the best so far, and the
# copies of five of these that saving the state makes; converting frozen layers makes more.
_COPIES_OF_A_WEIGHT, _COPIES_WHERE_FROZEN = 11, 27
# Activations that the backward pass reads again, their gradients, and scratch of kernels.
_ACTIVATIONS_SHARE = 2.4

_FLOAT_BYTES = 4
_LEAST_POWER = 3
LEAST_BATCH = 2**_LEAST_POWER
"""No batch is made smaller than this one."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Needs:
    """Bytes that a run takes at its peak; photos and features lie on disk, and take none.

    Attributes:
        weights: All copies of the network's weights, and compiled steps.
        a_photo: Activations of one photo of a batch, forwards and backwards.
    """

    weights: int
    a_photo: int

    def beside_tensorflow(self, batch: int) -> int:
        """Return what has to be free when TensorFlow is there already."""
        return self.weights + batch * self.a_photo

    def total(self, batch: int) -> int:
        """Return the peak of the whole process."""
        return BASE_BYTES + self.beside_tensorflow(batch)


def predict(model: keras.Model, recipe: Recipe) -> Needs:
    """Return what training a classifier takes, whatever the batch."""
    copies = _COPIES_OF_A_WEIGHT if recipe.from_scratch else _COPIES_WHERE_FROZEN
    kept = zoo.cost(learning_part(model, recipe)).kept_bytes
    return Needs(
        weights=_STEP_BYTES + copies * _FLOAT_BYTES * model.count_params(),
        a_photo=round(_ACTIVATIONS_SHARE * kept),
    )


def fitting(recipe: Recipe, model: keras.Model, free_bytes: int | None) -> Recipe:
    """Return the recipe, with a smaller batch where this machine's memory asks for one.

    Args:
        recipe: How to train.
        model: The whole classifier.
        free_bytes: What the run may take beside TensorFlow; None where nobody knows.

    Raises:
        InputError: even a batch of 8 takes more.
    """
    needs = predict(model, recipe)
    if free_bytes is None or needs.beside_tensorflow(recipe.batch) <= free_bytes:
        return recipe
    free = _text(free_bytes)
    for power in range(recipe.batch.bit_length(), _LEAST_POWER - 1, -1):
        batch = 2**power
        if batch < recipe.batch and needs.beside_tensorflow(batch) <= free_bytes:
            say(
                f"note: a batch of {batch} instead of {recipe.batch}: {free} of memory are free, "
                f"and it takes {_text(needs.beside_tensorflow(batch))}"
            )
            return dataclasses.replace(recipe, batch=batch)
    least = needs.beside_tensorflow(min(LEAST_BATCH, recipe.batch))
    raise InputError(
        f"{free} of free memory where training takes {_text(least)}",
        where=f"{recipe.arch} at {recipe.size} pixels",
        fix="choose a smaller --size, --alpha or --arch, or close other programs",
    )


def free_memory(
    meminfo: Path = Path("/proc/meminfo"), cgroup: Path = Path("/sys/fs/cgroup")
) -> int | None:
    """Return the bytes that this process may still take; None on a system that doesn't tell.

    Args:
        meminfo: The kernel's own figures.
        cgroup: Where the limits of a container stand, of either version.
    """
    limits = [
        _container(cgroup / "memory.max", cgroup / "memory.current", cgroup / "memory.stat"),
        _container(
            cgroup / "memory/memory.limit_in_bytes",
            cgroup / "memory/memory.usage_in_bytes",
            cgroup / "memory/memory.stat",
        ),
        _table(meminfo).get("MemAvailable:", -1) * 1024,
    ]
    return min((limit for limit in limits if limit is not None and limit >= 0), default=None)


def _container(limit: Path, used: Path, stat: Path) -> int | None:
    allowed, taken = _number(limit), _number(used)
    if allowed is None or taken is None:
        return None
    # Pages of files can be dropped: they count as used, and are free.
    return max(0, allowed - taken + _table(stat).get("inactive_file", 0))


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # no such limit, or "max"
        return None


def _table(path: Path) -> dict[str, int]:
    try:
        rows = [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return {}
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdecimal()}


def _text(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
