"""A model that this toolkit did not train, as a frozen graph.

Keras files, SavedModels and ONNX files all become the graph that a checkpoint's network
becomes: what writes and quantizes files needs to know no more about them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from edgecnn.convert.foreign_child import ABOUT, GRAPH
from edgecnn.convert.graph import constants, refuse_no_numbers
from edgecnn.convert.network import Network
from edgecnn.core.errors import InputError
from edgecnn.core.foreign import Kind

_PACKAGE = Path(__file__).parents[1] / "__init__.py"
_LONGEST_S = 900.0

# Finds this very package in whichever interpreter runs the child, and nothing else with it.
_START = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("edgecnn", sys.argv[1])
sys.modules["edgecnn"] = package = importlib.util.module_from_spec(spec)
spec.loader.exec_module(package)
from edgecnn.convert.foreign_child import main
main()
"""


def open_foreign(path: Path, kind: Kind, *, size: Sequence[int] | None = None) -> Network:
    """Freeze a foreign model in a child process.

    Args:
        path: A ``.keras``, ``.h5`` or ``.onnx`` file, or a SavedModel's folder.
        kind: What it is.
        size: Height and width of the pixels, for a model that leaves them open.

    Raises:
        InputError: a file that is damaged or hostile, that crashes its reader, or whose layers
            or operations can't be converted (each named).
    """
    with tempfile.TemporaryDirectory(prefix="edgecnn-") as name:
        out = Path(name)
        request = {"path": str(path), "kind": kind, "size": size and list(size), "out": name}
        _run(request, where=path)
        try:
            about = json.loads((out / ABOUT).read_text())
            if "error" in about:
                what, where, fix = (str(part) for part in about["error"])
                raise InputError(what, where=where, fix=fix)
            graph = tf.compat.v1.GraphDef.FromString((out / GRAPH).read_bytes())
        except (OSError, ValueError) as error:
            raise _crashed("no answer", path) from error
    if not about["answer"] or None in about["answer"]:
        raise InputError(
            f"an output of shape {about['answer']}", where=path, fix="use one row of scores"
        )
    refuse_no_numbers(constants(graph), where=path)
    return Network(
        graph, about["input"], about["output"], tuple(about["shape"]), tuple(about["answer"])
    )


def _run(request: dict[str, Any], *, where: Path) -> None:
    # -P: a file named numpy.py in the user's folder is not ours to run.
    command = [sys.executable, "-P", "-c", _START, str(_PACKAGE), json.dumps(request)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        child = subprocess.run(
            command, env=environment, capture_output=True, timeout=_LONGEST_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise _crashed(f"silence for {_LONGEST_S:.0f} s", where) from None
    if child.returncode:
        lines = child.stderr.decode("utf-8", "replace").strip().splitlines() or ["no last words"]
        reason = lines[-1][:200]
        if child.returncode < 0:
            reason = f"ended by {signal.Signals(-child.returncode).name}"
        raise _crashed(reason, where)


def _crashed(reason: str, where: Path) -> InputError:
    return InputError(
        f"a model that crashes its reader ({reason})",
        where=where,
        fix="the file is damaged or too large: save it again",
    )
