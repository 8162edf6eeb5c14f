"""The child process in which a model that somebody else made becomes a frozen graph.

It reads its request as JSON from its first argument and writes two files into a folder: the
graph, and what is to be known about it or why there is none. Only this process dies with a
file that is made to kill its reader.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgecnn.core.errors import InputError

GRAPH, ABOUT = "graph.pb", "about.json"
# A network of 1 GB, its frozen copy and TensorFlow itself.
_MEMORY_BYTES = 10_000_000_000


def main() -> None:
    """Freeze one model; what goes wrong is told in `ABOUT`."""
    request = json.loads(sys.argv[2])
    out = Path(request["out"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY_BYTES, _MEMORY_BYTES))
    try:
        about, graph = _frozen(request["kind"], Path(request["path"]), request["size"])
        (out / GRAPH).write_bytes(graph)
    except InputError as error:
        about = {"error": [error.what, error.where, error.fix]}
    # Whatever a framework throws at a model of unknown origin becomes one line in the parent.
    except Exception as error:  # noqa: BLE001 - the process ends right after
        reason = (str(error).strip().splitlines() or [""])[0][:200]
        what = f"a model that can't be read ({type(error).__name__}: {reason})"
        about = {"error": [what, request["path"], "save it again"]}
    (out / ABOUT).write_text(json.dumps(about))


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _frozen(kind: str, path: Path, size: list[int] | None) -> tuple[dict[str, Any], bytes]:
    from edgecnn.convert.frozen import freeze_call

    call, shape = _opened(kind, path)
    frozen = freeze_call(call, _image_shape(shape, size, where=path))
    if check := getattr(call, "check", None):  # a translation, to be held against its original
        check(frozen)
    function = frozen.function
    answer = function.outputs[0].shape
    about = {
        "shape": list(frozen.shape),
        "input": function.inputs[0].name,
        "output": function.outputs[0].name,
        "answer": None if answer.rank is None else answer.as_list(),
    }
    return about, function.graph.as_graph_def().SerializeToString()


def _opened(kind: str, path: Path) -> tuple[Callable[[Any], Any], tuple[int | None, ...]]:
    """Return a function of one image, and the sizes of that; None where open."""
    if kind == "saved_model":
        from edgecnn.convert import saved_model

        return saved_model.load(path)
    if kind == "onnx":
        from edgecnn.convert.onnx_file import OnnxModel

        model = OnnxModel(path)
        return model, model.shape
    from edgecnn.convert import keras_file

    model = keras_file.load(path)
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise InputError(
            f"a model of {len(model.inputs)} inputs and {len(model.outputs)} outputs",
            where=path,
            fix="keep one image and one row of scores",
        )
    inside = model.input if not isinstance(model.input, (list, tuple, dict)) else None
    if inside is None:  # saved as a list of one
        return lambda image: _first(model([image], training=False)), model.inputs[0].shape
    return lambda image: _first(model(image, training=False)), model.inputs[0].shape


def _first(answer: Any) -> Any:
    while isinstance(answer, (list, tuple, dict)):
        answer = next(iter(answer.values())) if isinstance(answer, dict) else answer[0]
    return answer


def _image_shape(
    shape: tuple[int | None, ...], size: list[int] | None, *, where: Path
) -> tuple[int, ...]:
    """Return [1, H, W, C] with all sizes known."""
    if len(shape) != 4 or shape[0] not in (None, 1) or shape[3] not in (1, 3):
        raise InputError(
            f"an input of shape {['?' if axis is None else axis for axis in shape]}",
            where=where,
            fix="use a model of one image [1, height, width, 3] (channels last) or ONNX's "
            "[1, 3, height, width]",
        )
    given = tuple(size or (None, None))
    for axis, (own, wanted) in enumerate(zip(shape[1:3], given, strict=True)):
        if own is None and wanted is None:
            name = ("height", "width")[axis]
            raise InputError(f"an input of open {name}", where=where, fix="add --size PIXELS")
        if own is not None and wanted is not None and own != wanted:
            raise InputError(
                f"an input of {shape[1]}x{shape[2]} pixels", where=where, fix="leave --size out"
            )
    height, width = (own or wanted or 0 for own, wanted in zip(shape[1:3], given, strict=True))
    return 1, height, width, shape[3]


if __name__ == "__main__":
    main()
