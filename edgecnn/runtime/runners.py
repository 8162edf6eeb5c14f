"""A file, open in a runtime: image in, labelled answer out, whatever the file's dtypes."""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edgecnn.core import image as images
from edgecnn.core.artifact import FileInput, FileOutput, Format
from edgecnn.core.errors import InputError, unknown
from edgecnn.core.image import Pixels, Preprocessing
from edgecnn.core.runner import Answer, Scores, Timing
from edgecnn.runtime import wiring
from edgecnn.runtime.engine import Engine
from edgecnn.runtime.litert import LiteRt
from edgecnn.runtime.metadata import format_of, mapped, read_metadata
from edgecnn.runtime.onnxruntime import OnnxRuntime
from edgecnn.runtime.openvino import OpenVino
from edgecnn.runtime.wiring import Normalization


@dataclasses.dataclass(frozen=True)
class Runtime:
    """What a runtime reads, and how a file is opened in it: (path, threads=)."""

    formats: tuple[Format, ...]
    open: Callable[..., Engine]


RUNTIMES: dict[str, Runtime] = {
    "litert": Runtime(("tflite",), LiteRt),
    "tflite-runtime": Runtime(("tflite",), functools.partial(LiteRt, package="tflite_runtime")),
    "onnxruntime": Runtime(("onnx", "ort"), OnnxRuntime),
    "openvino": Runtime(("tflite", "onnx"), OpenVino),
}


class Model:
    """One file, open in this process. `load` makes it.

    Attributes:
        path: The file.
        runtime: What runs it: a name of `RUNTIMES`.
        runtime_version: Of the runtime's package.
        metadata: What the file says about itself; none for a foreign file.
        classes: Names of the outputs, in order; empty when nobody knows them.
        preprocessing: What turns a photo into this file's pixels.
        input: How pixels become the file's input.
        output: How the file's output becomes scores.
    """

    def __init__(
        self,
        path: Path,
        *,
        runtime: str,
        threads: int,
        labels: Path | None,
        normalization: Normalization | None,
    ) -> None:
        if threads < 1:
            raise InputError(f"{threads} threads", where=path, fix="ask for at least one")
        names = wiring.read_labels(labels) if labels else None
        self.path = path
        self.metadata = read_metadata(path)
        self.runtime = runtime
        self._engine = RUNTIMES[runtime].open(path, threads=threads)
        self.runtime_version = self._engine.version
        source, result = self._engine.input, self._engine.output
        if self.metadata is None:
            ends = wiring.assumed(source, result, normalization=normalization, where=path)
        else:
            ends = wiring.told(self.metadata, source, result, where=path)
        self.preprocessing: Preprocessing = ends.preprocessing
        self.input: FileInput = ends.input
        self.output: FileOutput = ends.output
        self._table = wiring.pixel_table(ends.input)
        self._outputs = wiring.output_count(result, where=path)
        self.classes = self._checked_classes(names, labels)

    def _checked_classes(
        self, names: tuple[str, ...] | None, labels: Path | None
    ) -> tuple[str, ...]:
        if names is None:
            names = self.metadata.classes if self.metadata else ()
        if names and len(names) != self._outputs:
            raise InputError(
                f"{len(names)} names for a model of {self._outputs} outputs",
                where=labels or self.path,
                fix="give one name a line, in the order of the outputs",
            )
        return names

    def run(self, batch: Pixels) -> Scores:
        """Return scores [N, classes], float32, for pixels [N, H, W, C], uint8, prepared."""
        return self.timed_run(batch)[0]

    def timed_run(self, batch: Pixels) -> tuple[Scores, Timing]:
        """Return scores, and where the time went, all images together.

        Raises:
            InputError: pixels of another shape, or the runtime failed.
        """
        if batch.shape[1:] != self.preprocessing.shape or batch.dtype != np.uint8:
            raise InputError(
                f"pixels of shape {list(batch.shape)}, {batch.dtype}",
                where=self.path,
                fix=f"prepare [N, {', '.join(map(str, self.preprocessing.shape))}] uint8",
            )
        scores = np.zeros((len(batch), self._outputs), np.float32)
        spent = np.zeros(3)
        for index, pixels in enumerate(batch):
            began = time.perf_counter()
            tensor = wiring.to_input(pixels, self._table, self.input.layout)
            ready = time.perf_counter()
            raw = self._engine.invoke(tensor)
            answered = time.perf_counter()
            scores[index] = wiring.to_scores(raw, self.output)
            spent += (ready - began, answered - ready, time.perf_counter() - answered)
        preprocess, inference, postprocess = (1000 * spent).tolist()
        return scores, Timing(preprocess=preprocess, inference=inference, postprocess=postprocess)

    def predict(self, image: Path | str | Pixels) -> Answer:
        """Answer one photo (a path) or one camera frame (an array [H, W, 3], uint8, RGB)."""
        return answer(self, image)


class TimedRunner(Protocol):
    """A runner that tells where its time went."""

    @property
    def classes(self) -> tuple[str, ...]: ...  # noqa: D102 - see core.runner.Runner

    @property
    def preprocessing(self) -> Preprocessing: ...  # noqa: D102 - see core.runner.Runner

    def timed_run(self, batch: Pixels) -> tuple[Scores, Timing]: ...  # noqa: D102 - see Model


def answer(runner: TimedRunner, image: Path | str | Any) -> Answer:
    """Prepare one image, run it, name the result."""
    began = time.perf_counter()
    if isinstance(image, (str, Path)):
        pixels = images.load(Path(image), runner.preprocessing)
    else:
        pixels = images.prepare(image, runner.preprocessing)
    prepared_ms = 1000 * (time.perf_counter() - began)
    scores, timing = runner.timed_run(pixels[None])
    return Answer(
        scores=scores[0],
        classes=runner.classes,
        timing_ms=Timing(
            preprocess=prepared_ms + timing.preprocess,
            inference=timing.inference,
            postprocess=timing.postprocess,
        ),
    )


def load(
    path: str | Path,
    *,
    runtime: str | None = None,
    threads: int = 1,
    labels: str | Path | None = None,
    normalization: Normalization | None = None,
) -> Model:
    """Open a ``.tflite``, ``.onnx`` or ``.ort`` file in this process.

    A malformed file can end a process through its native runtime; where that matters, use
    `edgecnn.runtime.isolated.IsolatedModel`.

    Args:
        path: The file.
        runtime: A name of `RUNTIMES`; None means LiteRT (else tflite-runtime) or ONNX Runtime.
        threads: CPU threads of one inference.
        labels: Text file with one class a line, for files that don't carry their classes.
        normalization: For foreign files only: (scale, offset) of ``pixel * scale + offset``.

    Raises:
        InputError: no model file, a damaged one, or one that the runtime refuses.
        MissingExtra: the runtime is not installed.
    """
    path = Path(path)
    return Model(
        path,
        runtime=choose_runtime(path, runtime),
        threads=threads,
        labels=Path(labels) if labels else None,
        normalization=normalization,
    )


def choose_runtime(path: Path, runtime: str | None = None) -> str:
    """Return the runtime for a file: the one asked for, if it reads this format, or the default.

    Raises:
        InputError: no model file, an unknown runtime, or one for another format.
    """
    if runtime is not None and runtime not in RUNTIMES:
        raise unknown("runtime", runtime, RUNTIMES, where="--runtime")
    with mapped(path) as data:
        kind = format_of(data, where=path)
    if runtime is None:
        if kind != "tflite":
            return "onnxruntime"
        only_old = not _installed("ai_edge_litert") and _installed("tflite_runtime")
        return "tflite-runtime" if only_old else "litert"
    if kind not in RUNTIMES[runtime].formats:
        fit = " or ".join(name for name, known in RUNTIMES.items() if kind in known.formats)
        raise InputError(f"a {kind} model for {runtime}", where=path, fix=f"use --runtime {fit}")
    return runtime


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
