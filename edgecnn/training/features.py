"""The frozen layers, run once a photo and view, as a converted float graph."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf  # isort: skip - before keras, or the converter fails later
import keras
import numpy as np

from edgecnn.convert import tflite
from edgecnn.convert.fold import fold_batch_norm
from edgecnn.convert.frozen import freeze
from edgecnn.core.progress import bar
from edgecnn.core.quiet import quiet_stderr
from edgecnn.training.augment import Augment
from edgecnn.training.work import Array

# Photos a call of the runtime; 4 was fastest of 1, 4, 8, 16 for MobileNetV2@160 on 2 cores.
_GRAPH_BATCH = 4
CHUNK = 64
"""Photos that are augmented at a time."""


class FrozenPart:
    """Layers that don't learn, run by LiteRT: three times as fast as Keras on a CPU."""

    def __init__(self, model: keras.Model) -> None:
        from ai_edge_litert.interpreter import Interpreter

        graph = tflite.float32(freeze(fold_batch_norm(model), batch=_GRAPH_BATCH))
        with quiet_stderr():  # the runtime announces its delegate there
            self._interpreter = Interpreter(model_content=graph, num_threads=os.cpu_count())
            self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]
        self._shape = tuple(model.output_shape[1:])

    def run(self, batch: Array) -> Array:
        """Return float32 features [N, ...] of pixels [N, H, W, C], 0..255."""
        features = np.empty((len(batch), *self._shape), np.float32)
        for start in range(0, len(batch), _GRAPH_BATCH):
            rows = batch[start : start + _GRAPH_BATCH].astype(np.float32)
            missing = _GRAPH_BATCH - len(rows)
            if missing:
                rows = np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)])
            self._interpreter.set_tensor(self._input, rows)
            self._interpreter.invoke()
            answer = self._interpreter.get_tensor(self._output)
            features[start : start + _GRAPH_BATCH] = answer[: _GRAPH_BATCH - missing]
        return features


Change = Callable[[Any, Any], Any]
"""Augmentation: pixels [N, H, W, C] and a seed [2] to changed pixels, float32."""


def compiled(augment: Augment) -> Change:
    """Return the layer as a graph that is traced once."""
    return tf.function(augment.__call__)


def extract(
    part: Callable[[], FrozenPart],
    pixels: Array,
    *,
    label: str,
    change: Change | None = None,
    seed: int = 0,
) -> Iterator[Array]:
    """Yield features of all photos in order, `CHUNK` at a time.

    Args:
        part: Gives the frozen layers; called only when there is work for them.
        pixels: [N, H, W, C] uint8.
        label: What the progress bar says.
        change: Augmentation; None passes the photos as they are.
        seed: Of the augmentation.
    """
    frozen = part()
    with bar(label, total=len(pixels)) as advance:
        for start in range(0, len(pixels), CHUNK):
            batch = pixels[start : start + CHUNK]
            if change is not None:
                batch = change(tf.constant(batch), tf.constant([seed, start], tf.int64)).numpy()
            yield frozen.run(batch)
            advance(len(batch))
