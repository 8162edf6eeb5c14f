"""The child process in which a native runtime may crash without harm.

It reads frames from stdin and answers on what was stdout: first which file to open, then
batches of pixels. It ends when its parent closes the pipe or dies.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.core import schema
from edgecnn.core.errors import InputError
from edgecnn.core.image import Pixels
from edgecnn.runtime import frames
from edgecnn.runtime.runners import Model, load


def main() -> None:
    """Serve one file until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    answers = os.dup(1)
    os.dup2(2, 1)  # what native code prints must not end up between frames
    with contextlib.suppress(frames.Closed):
        _serve(answers)


def _end_with(parent: int) -> None:
    """End at once when the parent is gone, even in the middle of an endless inference."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _serve(answers: int) -> None:
    request, _ = frames.receive(0)
    where = request["path"]
    try:
        model = _open(request)
        frames.send(answers, _description(model))
        while True:
            header, body = frames.receive(0)
            scores, timing = model.timed_run(pixels(header, body))
            reply = {"shape": scores.shape, "timing": schema.encode(timing)}
            frames.send(answers, reply, scores.data)
    except InputError as error:
        frames.send(answers, {"error": [error.what, error.where, error.fix]})
    except frames.Closed:
        raise
    # Whatever native code throws at Python becomes one line in the parent.
    except Exception as error:  # noqa: BLE001 - the process ends right after
        what = f"a model that cannot be run ({type(error).__name__}: {error})"
        frames.send(answers, {"error": [what, where, "export it again"]})


def _open(request: dict[str, Any]) -> Model:
    labels, normalization = request["labels"], request["normalization"]
    return load(
        Path(request["path"]),
        runtime=request["runtime"],
        threads=request["threads"],
        labels=labels and Path(labels),
        normalization=normalization and tuple(normalization),
    )


def _description(model: Model) -> dict[str, Any]:
    return {
        "runtime": model.runtime,
        "runtime_version": model.runtime_version,
        "classes": list(model.classes),
        "preprocessing": schema.encode(model.preprocessing),
        "input": schema.encode(model.input),
        "output": schema.encode(model.output),
        "metadata": schema.encode(model.metadata),
    }


def pixels(header: dict[str, Any], body: bytearray) -> Pixels:
    """Return the batch [N, H, W, C] of a frame, without copying it."""
    shape = [int(axis) for axis in header["shape"]]
    if math.prod(shape) != len(body):
        raise frames.Closed("a batch of another size than it says")
    return np.frombuffer(body, np.uint8).reshape(shape)


if __name__ == "__main__":
    main()
