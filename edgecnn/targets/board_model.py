"""The bundle's model on the board: `on_board` is what runs there, and has this inside."""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.bench.worker import RUNTIMES
from edgecnn.core.artifact import FileInput, FileOutput
from edgecnn.core.errors import InputError
from edgecnn.core.image import Preprocessing, load, prepare
from edgecnn.core.runner import Answer, Timing
from edgecnn.runtime.wiring import Wiring, pixel_table, to_input, to_scores

HERE = Path(__file__).resolve().parent
BUNDLE_SCHEMA = "edgecnn/bundle/1"


class Model:
    """The folder's model, open for inference.

    Attributes:
        about: What model.json says.
        ends: How an image becomes the file's input, and its output scores.
        classes: Names of the outputs, in order; empty when nobody knows them.
        runtime: What runs it: litert, tflite-runtime or onnxruntime.
    """

    def __init__(
        self, folder: Path = HERE, *, runtime: str | None = None, threads: int = 1
    ) -> None:
        """Open the model.

        Raises:
            InputError: a damaged copy, no runtime, or one that refuses the file.
        """
        self.about = describe(folder)
        self.ends = ends_of(self.about)
        self.classes = tuple(self.about["classes"])
        self.runtime = choose_runtime(self.about, runtime)
        self._path = folder / self.about["file"]
        module, _, loader = RUNTIMES[self.runtime]
        try:
            self._loaded = loader(importlib.import_module(module), str(self._path), threads)
        # Runtimes raise many kinds; all mean that they don't take the file.
        except Exception as error:
            raise refused(self.runtime, error, self._path) from error
        self._table = pixel_table(self.ends.input)

    def predict(self, image: Any) -> Answer:
        """Answer a photo (a path) or a frame (an array [height, width, 3], uint8, RGB).

        Raises:
            InputError: not an image, or the runtime failed.
        """
        began = time.perf_counter()
        how = self.ends.preprocessing
        pixels = load(Path(image), how) if isinstance(image, (str, Path)) else prepare(image, how)
        tensor = to_input(pixels, self._table, self.ends.input.layout)
        ready = time.perf_counter()
        raw = self._invoke(np.ascontiguousarray(tensor))
        answered = time.perf_counter()
        scores = to_scores(raw, self.ends.output)
        done = time.perf_counter()
        timing = Timing(
            preprocess=1000 * (ready - began),
            inference=1000 * (answered - ready),
            postprocess=1000 * (done - answered),
        )
        return Answer(scores, self.classes, timing)

    def _invoke(self, tensor: Any) -> Any:
        try:
            self._loaded.set_input(tensor)
            told = self._loaded.run()
            # LiteRT leaves its answer in a tensor, ONNX Runtime returns it.
            return self._loaded.output() if told is None else told[0]
        except Exception as error:
            raise refused(self.runtime, error, self._path) from error


def describe(folder: Path) -> dict[str, Any]:
    """Read model.json and check that the model is whole.

    Raises:
        InputError: a file is absent, damaged, or from another version.
    """
    try:
        about: dict[str, Any] = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        if about["schema"] != BUNDLE_SCHEMA:
            raise ValueError(about["schema"])
        data = (folder / about["file"]).read_bytes()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"an unusable bundle ({error})", where=folder, fix="copy the whole folder again"
        ) from error
    if hashlib.sha256(data).hexdigest() != about["sha256"]:
        raise InputError(
            "a model that was damaged on its way", where=folder / about["file"], fix="copy it again"
        )
    return about


def ends_of(about: dict[str, Any]) -> Wiring:
    """Return how images go in and scores come out."""
    return Wiring(
        preprocessing=Preprocessing(**about["preprocessing"]),
        input=FileInput(**about["input"]),
        output=FileOutput(**about["output"]),
    )


def choose_runtime(about: dict[str, Any], wanted: str | None) -> str:
    """Return the runtime that was asked for, or the first that starts.

    Raises:
        InputError: none does.
    """
    known: list[str] = about["runtimes"]
    if wanted is not None and wanted not in known:
        raise InputError(f"no runtime {wanted!r}", where="--runtime", fix=f"use {known[0]}")
    failures = []
    for name in known if wanted is None else [wanted]:
        try:
            importlib.import_module(RUNTIMES[name][0])
        # numpy 2 under a runtime built for numpy 1 raises SystemError or AttributeError.
        except (ImportError, SystemError, AttributeError, RuntimeError) as error:
            failures.append(f"{name}: {(str(error).splitlines() or [''])[0][:100]}")
        else:
            return name
    raise InputError(
        f"no runtime that starts ({'; '.join(failures)})",
        where=f"this Python, {sys.executable}",
        fix="run install.sh, then .venv/bin/python run.py",
    )


def refused(runtime: str, error: Exception, path: Path) -> InputError:
    """Build the error for a file that a runtime does not take."""
    words = " ".join(str(error).split())[:200]
    return InputError(f"a model that {runtime} refuses ({words})", where=path, fix="copy it again")
