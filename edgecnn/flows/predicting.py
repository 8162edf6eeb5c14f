"""Answer one photo with any open model, as a plain row."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from edgecnn.core import image as images
from edgecnn.core.runner import Answer, Runner, Timing
from edgecnn.flows.opening import Opened
from edgecnn.runtime.isolated import IsolatedModel


def predict_image(model: Opened, image: Path, *, count: int) -> dict[str, Any]:
    """Return the best classes of one photo, and where the time went.

    Raises:
        InputError: not a photo, or the model failed on it.
    """
    told = _answer(model.runner, image)
    timing = told.timing_ms
    return {
        "image": str(image),
        "top": [
            {"class": best.label, "index": best.index, "probability": best.probability}
            for best in told.top(count)
        ],
        "timing_ms": {
            "preprocess": timing.preprocess,
            "inference": timing.inference,
            "postprocess": timing.postprocess,
        },
    }


def _answer(runner: Runner, image: Path) -> Answer:
    if isinstance(runner, IsolatedModel):
        return runner.predict(image)
    began = time.perf_counter()
    pixels = images.load(image, runner.preprocessing)
    ready = time.perf_counter()
    scores = runner.run(pixels[None])[0]
    took = Timing(
        preprocess=1000 * (ready - began),
        inference=1000 * (time.perf_counter() - ready),
        postprocess=0.0,
    )
    return Answer(scores=scores, classes=runner.classes, timing_ms=took)
