"""A file, open in a child process: what kills a native runtime becomes one line here.

A malformed model can end the process that loads it. The command line therefore runs files
of unknown origin through `IsolatedModel`, which looks like `edgecnn.runtime.Model`.
"""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
import tempfile
import weakref
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from edgecnn.core import schema
from edgecnn.core.artifact import FileInput, FileMetadata, FileOutput
from edgecnn.core.errors import InputError
from edgecnn.core.image import Pixels, Preprocessing
from edgecnn.core.runner import Answer, Scores, Timing
from edgecnn.runtime import frames
from edgecnn.runtime.runners import answer, choose_runtime
from edgecnn.runtime.wiring import Normalization

_PACKAGE = Path(__file__).parents[1] / "__init__.py"

# A batch of large photos takes seconds on a slow board; a runtime that hangs takes for ever.
LONGEST_SILENCE_S = 300.0

# Finds this very package in whichever interpreter runs the child, and nothing else with it.
_START = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("edgecnn", sys.argv[1])
sys.modules["edgecnn"] = package = importlib.util.module_from_spec(spec)
spec.loader.exec_module(package)
from edgecnn.runtime.child import main
main()
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Description:
    """What the child says about the file it opened; fields as in `Model`."""

    runtime: str
    runtime_version: str
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    input: FileInput
    output: FileOutput
    metadata: FileMetadata | None


class IsolatedModel:
    """One file, open in a child process; a context manager.

    Attributes:
        path: The file.
        runtime: What runs it: a name of `edgecnn.runtime.RUNTIMES`.
        runtime_version: Of the runtime's package.
        metadata: What the file says about itself; none for a foreign file.
        classes: Names of the outputs, in order; empty when nobody knows them.
        preprocessing: What turns a photo into this file's pixels.
        input: How pixels become the file's input.
        output: How the file's output becomes scores.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        runtime: str | None = None,
        threads: int = 1,
        labels: str | Path | None = None,
        normalization: Normalization | None = None,
        python: str | Path = sys.executable,
    ) -> None:
        """Open the file in a new process.

        Args:
            path: The file.
            runtime: A name of `edgecnn.runtime.RUNTIMES`; None means the format's default.
            threads: CPU threads of one inference.
            labels: Text file with one class a line.
            normalization: For foreign files: (scale, offset) of ``pixel * scale + offset``.
            python: Interpreter that has the runtime and numpy.

        Raises:
            InputError: as `edgecnn.runtime.load`, and when the runtime crashed on the file.
        """
        self.path = Path(path)
        choose_runtime(self.path, runtime)  # what can be refused here needs no process
        self._process, self._notes = _start(python)
        self._end = weakref.finalize(self, _stop, self._process, self._notes)
        request = {
            "path": str(self.path),
            "runtime": runtime,
            "threads": threads,
            "labels": labels and str(labels),
            "normalization": normalization,
        }
        header, _ = self._ask(request)
        about = schema.decode(_Description, header, where=self.path)
        self.runtime, self.runtime_version = about.runtime, about.runtime_version
        self.classes, self.metadata = about.classes, about.metadata
        self.preprocessing = about.preprocessing
        self.input, self.output = about.input, about.output

    def run(self, batch: Pixels) -> Scores:
        """Return scores [N, classes], float32, for pixels [N, H, W, C], uint8, prepared."""
        return self.timed_run(batch)[0]

    def timed_run(self, batch: Pixels) -> tuple[Scores, Timing]:
        """Return scores, and where the child's time went, all images together.

        Raises:
            InputError: pixels of another shape, or the runtime failed or crashed.
        """
        batch = np.ascontiguousarray(batch)
        header, body = self._ask({"shape": batch.shape}, batch.reshape(-1).data)
        try:
            scores = np.frombuffer(body, np.float32).reshape(header["shape"])
            timing = schema.decode(Timing, header["timing"], where=self.path)
        except (ValueError, TypeError, KeyError) as error:
            raise self._crashed("nonsense instead of scores") from error
        if scores.ndim != 2 or len(scores) != len(batch):
            raise self._crashed("scores of another shape")
        return scores, timing

    def predict(self, image: Path | str | Pixels) -> Answer:
        """Answer one photo (a path) or one camera frame (an array [H, W, 3], uint8, RGB)."""
        return answer(self, image)

    def close(self) -> None:
        """End the child process; closing twice is fine."""
        self._end()

    def __enter__(self) -> IsolatedModel:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(
        self, request: dict[str, Any], body: bytes | memoryview = b""
    ) -> tuple[dict[str, Any], bytearray]:
        if not self._end.alive:
            raise InputError("a model that was closed", where=self.path, fix="open it again")
        try:
            if self._process.stdin is None or self._process.stdout is None:
                raise frames.Closed("no pipes")
            frames.send(self._process.stdin.fileno(), request, body)
            header, answer_body = frames.receive(
                self._process.stdout.fileno(), timeout_s=LONGEST_SILENCE_S
            )
        except frames.Closed as error:
            raise self._crashed(str(error)) from None
        except BaseException:  # an answer that nobody reads must not meet the next question
            self._process.kill()
            raise
        if "error" in header:
            self.close()
            what, where, fix = (str(part) for part in header["error"])
            raise InputError(what, where=where, fix=fix)
        return header, answer_body

    def _crashed(self, reason: str) -> InputError:
        """Describe the end of the child, from its exit status or its last words."""
        try:
            status = self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            status = 0
        if status < 0:
            reason = f"ended by {signal.Signals(-status).name}"
        elif lines := _last_words(self._notes):
            reason = lines
        self.close()
        return InputError(
            f"a model that crashes its runtime ({reason})",
            where=self.path,
            fix="the file is damaged or not supported: export it again",
        )


def _start(python: str | Path) -> tuple[subprocess.Popen[bytes], Any]:
    notes = tempfile.TemporaryFile()  # noqa: SIM115 - outlives this function; _stop closes it
    # -P: a file named numpy.py in the user's folder is not ours to run.
    command = [str(python), "-P", "-c", _START, str(_PACKAGE)]
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=notes, bufsize=0
        )
    except OSError as error:
        notes.close()
        raise InputError(
            f"no Python ({error.strerror})", where=str(python), fix="check the path"
        ) from error
    return process, notes


def _stop(process: subprocess.Popen[bytes], notes: Any) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(timeout=2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    notes.close()


def _last_words(notes: Any) -> str:
    notes.seek(0)
    lines = notes.read(1_000_000).decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:200] if lines else ""
