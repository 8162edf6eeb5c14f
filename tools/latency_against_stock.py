"""Latency of our TFLite files against what stock TFLiteConverter makes of the same model.

Run: python tools/latency_against_stock.py CKPT [--threads 1] [--pairs 10] [--runs 60]

Both files run interleaved in the same loop; prints the median of the pairs' ratios.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from int8_against_stock import stock_tflite

from edgecnn import data, zoo
from edgecnn.convert.frozen import freeze
from edgecnn.core import checkpoint as checkpoints
from edgecnn.core.quiet import quiet_stderr
from edgecnn.export import Options, export


def stock_float(frozen: Any) -> bytes:
    """What TFLiteConverter writes without options."""
    import tensorflow as tf

    with quiet_stderr():
        return bytes(tf.lite.TFLiteConverter.from_concrete_functions([frozen.function]).convert())


def opened(content: bytes, threads: int) -> Interpreter:
    """Return a ready interpreter with a picture set."""
    interpreter = Interpreter(model_content=content, num_threads=threads)
    interpreter.allocate_tensors()
    entry = interpreter.get_input_details()[0]
    picture = np.random.default_rng(0).integers(0, 256, entry["shape"]).astype(entry["dtype"])
    interpreter.set_tensor(entry["index"], picture)
    for _ in range(10):
        interpreter.invoke()
    return interpreter


def median_ms(interpreter: Interpreter, runs: int) -> float:
    """Return the median of some inferences, milliseconds."""
    samples = []
    for _ in range(runs):
        started = time.perf_counter()
        interpreter.invoke()
        samples.append(1e3 * (time.perf_counter() - started))
    return statistics.median(samples)


def compare(name: str, ours: bytes, stock: bytes, args: argparse.Namespace) -> None:
    """Time both files alternately and print the ratio."""
    a, b = opened(ours, args.threads), opened(stock, args.threads)
    pairs = [(median_ms(a, args.runs), median_ms(b, args.runs)) for _ in range(args.pairs)]
    ratio = statistics.median(x / y for x, y in pairs)
    mine, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(f"{name:8s} ours {mine:7.3f} ms   stock {theirs:7.3f} ms   median ratio {ratio:.3f}")


def main() -> None:
    """Make both kinds of both files and compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--runs", type=int, default=60)
    args = parser.parse_args()
    checkpoint = checkpoints.read(args.checkpoint)
    card = checkpoint.card
    training, _ = data.examples_for(
        card.data.source, card.classes, card.data, split="train", limit=None
    )
    chosen, _ = data.calibration_photos(training, count=100, seed=0)

    def pixels() -> Iterator[Any]:
        for batch in data.Reader(chosen, card.preprocessing):
            yield from batch.pixels[:, None].astype(np.float32)

    frozen = freeze(zoo.restore(checkpoint))
    with tempfile.TemporaryDirectory() as folder:
        options = Options(schemes=("float32", "int8"), calibration_count=100)
        ours = {a.metadata.scheme: a.path for a in export(checkpoint, Path(folder), options)}
        compare("float32", ours["float32"].read_bytes(), stock_float(frozen), args)
        compare("int8", ours["int8"].read_bytes(), stock_tflite(frozen, pixels), args)


if __name__ == "__main__":
    main()
