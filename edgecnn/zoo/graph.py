"""A flat functional model as a graph: what runs when, where it can be cut."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

import keras
from keras import layers

# conv2_block1 is how Keras names a block of its ResNets.
_BLOCK = re.compile(r"((stage|conv)\d+_)?block\d+|[^_]+")


@dataclasses.dataclass(frozen=True, eq=False)
class Step:
    """One layer of a model with the tensors that it reads and those that it makes."""

    layer: keras.Layer
    inputs: tuple[keras.KerasTensor, ...]
    outputs: tuple[keras.KerasTensor, ...]

    @property
    def output(self) -> keras.KerasTensor:
        """The first tensor that it makes; nearly all layers have no other."""
        return self.outputs[0]


def cut_points(model: keras.Model) -> tuple[str, ...]:
    """Return the layers that end a block and whose output alone crosses to what follows.

    Their order is that of execution; all their outputs are images, [N, H, W, C]. The input
    and its normalization don't count.
    """
    last_of_block: dict[str, str] = {}
    for step, alive in walk(model):
        is_image = len(step.output.shape) == 4
        is_first = isinstance(step.layer, (layers.InputLayer, layers.Rescaling))
        if is_image and not is_first and alive == {id(step.output)}:
            last_of_block[_block_of(step.layer.name)] = step.layer.name
    return tuple(last_of_block.values())


def split(model: keras.Model, at: str) -> tuple[keras.Model, keras.Model]:
    """Cut a model in two, which share its layers: lower(x), then upper, equals model(x).

    Args:
        model: Flat and functional.
        at: One of `cut_points`: the last layer of the lower part.

    Raises:
        ValueError: more than that layer's output crosses there.
    """
    for step, alive in walk(model):
        if step.layer.name == at and alive == {id(step.output)}:
            lower = keras.Model(model.input, step.output, name=f"{model.name}_lower")
            upper = keras.Model(step.output, model.output, name=f"{model.name}_upper")
            return lower, upper
    raise ValueError(f"{model.name} cannot be cut at {at!r}")


def steps_of(model: keras.Model) -> list[Step]:
    """Return a model's layers in the order of execution.

    Only the model's own nodes count: a layer that other models share has more of them.
    """
    depths = sorted(model._nodes_by_depth, reverse=True)
    nodes = [node for depth in depths for node in model._nodes_by_depth[depth]]
    return [Step(n.operation, tuple(n.input_tensors), tuple(n.output_tensors)) for n in nodes]


def walk(model: keras.Model) -> Iterator[tuple[Step, set[int]]]:
    """Yield each step with the tensors that are needed after it, by identity."""
    steps = steps_of(model)
    last_use = {id(t): index for index, step in enumerate(steps) for t in step.inputs}
    last_use |= {id(tensor): len(steps) for tensor in model.outputs}
    alive: set[int] = set()
    for index, step in enumerate(steps):
        made = {id(tensor) for tensor in step.outputs}
        alive = {tensor for tensor in alive if last_use.get(tensor, -1) > index} | made
        yield step, alive


def _block_of(name: str) -> str:
    found = _BLOCK.match(name)
    return found.group() if found else name
