#!/usr/bin/env python3
"""Run the model in this folder: on photos, on camera frames, or against the clock.

    python3 run.py predict photo.jpg        # JPEG and PNG need pillow; .npy files do not
    python3 run.py predict --raw 640x480 -  # RGB frames, 3 bytes a pixel, from a pipe
    python3 run.py bench --threads 1,2,4 --out results

In a program of one's own::

    from run import Model
    model = Model(threads=4)
    answer = model.predict(frame)           # [height, width, 3], uint8, RGB
    print(answer.top(1)[0].label)

It needs Python 3.9, numpy and one runtime; `edgecnn bundle` made it.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import importlib
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.bench.protocol import Protocol
from edgecnn.bench.stages import FRAME_SHAPE, postprocess_ms, preprocess_ms
from edgecnn.bench.validity import reasons
from edgecnn.bench.worker import RUNTIMES
from edgecnn.core.artifact import FileInput, FileOutput
from edgecnn.core.errors import InputError
from edgecnn.core.image import Preprocessing, load, prepare
from edgecnn.core.measurement import Latency
from edgecnn.core.runner import Answer, Timing
from edgecnn.runtime.wiring import Wiring, pixel_table, to_input, to_scores

HERE = Path(__file__).resolve().parent
BUNDLE_SCHEMA = "edgecnn/bundle/1"
MEASUREMENT_SCHEMA = "edgecnn/measurement/1"
# `edgecnn bundle` puts the text of bench/worker.py here: it times the file in a fresh process.
WORKER = ""


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


# ------------------------------------------------------------------ bench


def measure(about: dict[str, Any], *, runtime: str, threads: int, how: Protocol) -> dict[str, Any]:
    """Time the file in a fresh process.

    Returns:
        A Measurement, as `edgecnn bench` writes and `edgecnn report` reads it.

    Raises:
        InputError: the runtime refused the file, crashed or hung.
    """
    told = ask(about, runtime=runtime, threads=threads, how=how)
    latency = Latency(
        init=told["init_ms"],
        first=told["first_ms"],
        warmup_runs=told["warmup_runs"],
        samples_ms=tuple(told["samples_ms"]),
    )
    doubts = list(reasons(latency, told["machine"]))
    if not told["finite"]:
        doubts.insert(0, "wrong answer: the output holds NaN or infinity")
    now = datetime.datetime.now(datetime.timezone.utc)  # noqa: UP017 - Python 3.9 has no UTC
    copied = ("runtime_version", "delegate", "delegated_nodes", "total_nodes", "machine")
    ends = ends_of(about)
    return {
        "schema": MEASUREMENT_SCHEMA,
        "model": about["file"],
        **{name: about[name] for name in ("sha256", "bytes", "format", "scheme")},
        "target": about["device"],
        "runtime": runtime,
        **{name: told[name] for name in copied},
        "threads": threads,
        "latency_ms": latency.to_json(),
        "preprocess_ms": preprocess_ms(ends),
        "postprocess_ms": postprocess_ms(ends, tuple(told["output_shape"])),
        "memory_mb": memory_of(told["memory_mb"], about["arena_mb"]),
        "accuracy": None,
        "protocol": {**vars(how), "frame_shape": list(FRAME_SHAPE)},
        "valid": not doubts,
        "invalid_reasons": doubts,
        "when": now.isoformat(timespec="seconds"),
        "per_op": [],
        "per_op_about": None,
        "per_op_reason": "",
    }


def memory_of(process: dict[str, Any], arena: float | None) -> dict[str, Any] | None:
    """Join what the process used and what the file plans; None where nothing is told."""
    return None if None in process.values() else {**process, "arena": arena}


def ask(about: dict[str, Any], *, runtime: str, threads: int, how: Protocol) -> dict[str, Any]:
    """Give one request to a worker process and return its answer."""
    path = HERE / about["file"]
    request = {
        "model": str(path),
        "runtime": runtime,
        "threads": threads,
        "input": {name: about["input"][name] for name in ("scale", "offset")},
        "protocol": vars(how),
    }
    try:
        done = subprocess.run(
            [sys.executable, "-c", WORKER],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=how.timeout_seconds,
            cwd=HERE,
            check=False,
        )
        answer: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
    except subprocess.TimeoutExpired:
        raise InputError("no answer in time", where=path, fix="measure fewer runs") from None
    if not answer:
        last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise InputError(f"a measurement that failed ({last[:200]})", where=path, fix="free memory")
    if "error" in answer:
        raise refused(runtime, Exception(answer["error"]["text"]), path)
    return answer


# ------------------------------------------------------------------ command line


def frames(names: list[str], raw: str | None) -> Iterator[tuple[str, Any]]:
    """Yield name and image: a path for a photo, an array for a frame."""
    for name in names:
        if raw is not None:
            yield from raw_frames(name, raw)
        elif name.endswith(".npy"):
            try:
                yield name, np.load(name, allow_pickle=False)
            except (OSError, ValueError, EOFError) as error:
                raise InputError("no array", where=name, fix="save it with numpy.save") from error
        else:
            yield name, Path(name)


def raw_frames(name: str, size: str) -> Iterator[tuple[str, Any]]:
    """Yield frames of RGB bytes from a file, or from standard input for "-"."""
    width, _, height = size.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) * int(height)):
        raise InputError(f"size {size!r}", where="--raw", fix="write it as 640x480")
    shape = int(height), int(width), 3
    try:
        with open(0 if name == "-" else name, "rb", closefd=name != "-") as file:
            index = 0
            while len(data := file.read(math.prod(shape))) == math.prod(shape):
                yield f"{name}#{index}", np.frombuffer(data, np.uint8).reshape(shape)
                index += 1
    except OSError as error:
        raise InputError("unreadable frames", where=name, fix=str(error.strerror)) from error
    if data or not index:
        raise InputError(
            f"{len(data)} bytes that are no whole frame", where=name, fix=f"send RGB of {size}"
        )


def predict(options: argparse.Namespace) -> None:
    """Print the best classes of each image."""
    model = Model(runtime=options.runtime, threads=options.threads)
    rows = []
    for name, image in frames(options.images, options.raw):
        told = model.predict(image)
        best = told.top(options.top)
        rows.append(
            {
                "image": name,
                "top": [
                    {"class": b.label, "index": b.index, "probability": b.probability} for b in best
                ],
                "timing_ms": vars(told.timing_ms),
            }
        )
        if not options.json:
            say(f"{name}  ({told.timing_ms.inference:.1f} ms)")
            for one in best:
                say(f"  {one.probability:9.4f}  {one.label}")
    if options.json:
        say(json.dumps({"predictions": rows}))


def bench(options: argparse.Namespace) -> None:
    """Print, and keep, one Measurement a number of threads."""
    about = describe(HERE)
    runtime = choose_runtime(about, options.runtime)
    how = Protocol(seconds=options.seconds, runs=options.runs)
    rows = [
        measure(about, runtime=runtime, threads=count, how=how) for count in options.thread_list
    ]
    for row in rows:
        if options.out is not None:
            options.out.mkdir(parents=True, exist_ok=True)
            name = f"{row['model']}-{row['target']}-{runtime}-{row['threads']}t.json"
            (options.out / name).write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")
        if not options.json:
            say(line_of(row))
    if options.json:
        say(json.dumps({"measurements": rows}))


def line_of(row: dict[str, Any]) -> str:
    """Return a row as people read it."""
    latency, memory = row["latency_ms"], row["memory_mb"]
    p90 = "" if latency["p90"] is None else f", p90 {latency['p90']:.2f} ms"
    peak = "" if memory is None else f", {memory['rss_peak']:.0f} MB at most"
    doubt = "" if row["valid"] else f"  not valid: {'; '.join(row['invalid_reasons'])}"
    runs = f"{latency['runs']} runs"
    head = f"{row['model']}  {row['runtime']}, {row['threads']} threads: "
    return f"{head}median {latency['median']:.2f} ms{p90}, {runs}{peak}{doubt}"


def say(text: str) -> None:
    """Print one line at once: a pipe may wait for it."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def counts(text: str) -> list[int]:
    """Read numbers of threads: 1 or 1,2,4."""
    numbers = [int(part) for part in text.split(",")]
    if not all(1 <= n <= 256 for n in numbers):
        raise ValueError(text)
    return numbers


def count(text: str) -> int:
    """Read one number above zero."""
    (number,) = counts(text)
    return number


def build_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    first = commands.add_parser("predict", help="name what is on photos or frames")
    first.set_defaults(work=predict)
    first.add_argument("images", nargs="+", metavar="IMAGE", help="photos, .npy arrays, raw frames")
    first.add_argument("--raw", metavar="WIDTHxHEIGHT", help="images are files of RGB bytes")
    first.add_argument("--top", type=count, default=5, metavar="N", help="classes to show")
    first.add_argument("--threads", type=count, default=1, metavar="N")
    second = commands.add_parser("bench", help="time the model in a process of its own")
    second.set_defaults(work=bench)
    second.add_argument("--threads", dest="thread_list", type=counts, default=[1], metavar="1,2,4")
    second.add_argument("--seconds", type=float, default=Protocol.seconds, metavar="S")
    second.add_argument("--runs", type=int, default=Protocol.runs, metavar="N")
    second.add_argument("--out", type=Path, metavar="DIR", help="keep each row for edgecnn report")
    for command in (first, second):
        command.add_argument("--runtime", metavar="NAME", help="instead of the first that starts")
        command.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def main() -> int:
    """Do what the command line says; 2 when that can't be done."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    options = build_parser().parse_args()
    try:
        options.work(options)
    except (InputError, ValueError, OSError, MemoryError) as error:
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        return 2
    except ModuleNotFoundError as error:
        fix = "install it (Debian: python3-pil), or pass .npy arrays"
        sys.stderr.write(f"error: no package {error.name} in this environment: {fix}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
