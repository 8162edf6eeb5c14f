"""Networks that answer as trained ones do, without any training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def smooth_pictures() -> Any:
    """A function of count and side: pictures [count, side, side, 3] of soft blobs, 0..255.

    Each has its own tint: pictures that differ little would have their differences blown
    up by batch norms, and rounding errors with them.
    """

    def draw(count: int, side: int) -> Any:
        random = np.random.default_rng(11)
        tints = random.uniform(0.1, 1.0, (count, 1, 1, 3))
        small = (random.uniform(0, 256, (count, 5, 5, 3)) * tints).astype(np.uint8)
        large = [np.asarray(Image.fromarray(p).resize((side, side))) for p in small]
        return np.stack(large).astype(np.float32)

    return draw


@pytest.fixture(scope="session")
def look_trained() -> Any:
    """A function of a classifier and pictures: changes its weights so that it tells them apart.

    With random weights and untouched statistics a deep network answers all photos alike,
    and any two networks would agree: batch norms get the statistics of these pictures, and
    logits a spread.
    """
    pytest.importorskip("tensorflow")
    import keras

    def change(model: Any, pictures: Any) -> None:
        random = np.random.default_rng(1)
        for layer in model.layers:
            if getattr(layer, "bias", None) is not None:
                layer.bias.assign(random.normal(0, 0.1, layer.bias.shape))
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = 0.0
                if layer.scale:
                    layer.gamma.assign(random.uniform(0.8, 1.2, layer.gamma.shape))
                layer.beta.assign(random.normal(0.1, 0.2, layer.beta.shape))
        model(pictures, training=True)
        logits = model.get_layer("logits")
        before = keras.Model(model.input, logits.output)
        spread = np.ptp(np.asarray(before(pictures, training=False)), axis=0).max()
        logits.kernel.assign(logits.kernel * (2.0 / spread))

    return change
