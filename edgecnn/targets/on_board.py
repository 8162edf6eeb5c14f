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
import json
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.bench.protocol import Protocol
from edgecnn.core.errors import InputError
from edgecnn.targets.board_bench import measure
from edgecnn.targets.board_model import HERE, Model, choose_runtime, describe


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
    how = options.protocol or Protocol(seconds=options.seconds, runs=options.runs)
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
    head = f"{row['model']}  {row['runtime']}, {row['threads']} threads: "
    peak = "" if memory is None else f", {memory['rss_peak']:.0f} MB at most"
    doubt = "" if row["valid"] else f"  not valid: {'; '.join(row['invalid_reasons'])}"
    if latency is None:
        return f"{head}no time{peak}{doubt}"
    p90 = "" if latency["p90"] is None else f", p90 {latency['p90']:.2f} ms"
    return f"{head}median {latency['median']:.2f} ms{p90}, {latency['runs']} runs{peak}{doubt}"


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


def protocol(text: str) -> Protocol:
    """Read a whole protocol, as JSON."""
    given: dict[str, Any] = json.loads(text)
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    return Protocol(**given)


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
    # What `edgecnn bench --target ssh:...` asks for, in full.
    second.add_argument("--protocol", type=protocol, help=argparse.SUPPRESS)
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
        if options.json and isinstance(error, InputError):
            say(json.dumps({"error": vars(error)}))
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
