"""What one scale for all weights of a layer costs, and what equalization gets back of it.

Run: python tools/equalization.py CKPT [--data DATA] [--count 200] [--as-trained] [--json FILE]

Multiplies each channel that may be scaled exactly by a random factor, log-uniform between
1/64 and 64, and makes sure that the float network answers as before: such networks come from
training with strong decay, or from other tools. Then writes int8 files of it, with one scale
a layer and one a channel, with equalization and without, both roundings, both formats, and
the stock converter's with one scale a layer; prints for each top-1, and flips against float,
on the test part. With --as-trained the network is taken as it is.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np

from edgecnn import data, zoo
from edgecnn.convert.fold import fold_batch_norm
from edgecnn.convert.frozen import freeze
from edgecnn.core import checkpoint as checkpoints
from edgecnn.core.quiet import quiet_stderr
from edgecnn.export.writers import Writers
from edgecnn.quantize.channels import scalable_channels
from edgecnn.quantize.equalize import rescaled
from edgecnn.quantize.plan import Rounding
from edgecnn.runtime import load

_LARGEST_FACTOR = 64.0
_FORMATS = ("tflite", "onnx")
# Floats are rounded elsewhere in a rescaled network; a probability moves by less than this.
_SAME = 1e-3


def spread(model: Any, seed: int) -> Any:
    """Return the same function with channels of random ranges.

    Args:
        model: With or without batch norms.
        seed: Of the factors.
    """
    random = np.random.default_rng(seed)
    folded = fold_batch_norm(model)
    channels = scalable_channels(folded)
    limit = np.log(_LARGEST_FACTOR)
    factors = {
        group: np.exp(random.uniform(-limit, limit, size)) for group, size in channels.exact.items()
    }
    count = sum(map(len, factors.values()))
    print(f"{count} channels in {len(factors)} groups rescaled", file=sys.stderr)
    return rescaled(folded, channels, factors)


def stock_per_tensor(network: Any, photos: Callable[[], Iterator[Any]]) -> bytes:
    """What TFLiteConverter writes for full integer with one scale a layer."""
    import tensorflow as tf

    frozen = freeze(fold_batch_norm(network))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen.function])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([p.astype(np.float32)] for p in photos())
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.uint8
    converter._experimental_disable_per_channel = True
    with quiet_stderr():
        return bytes(converter.convert())


def makers(
    network: Any, card: Any, photos: Callable[[], Iterator[Any]]
) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield each file's name with its suffix, and what makes it."""
    for per_tensor, rounding, equalize in itertools.product(
        (True, False), get_args(Rounding), (False, True)
    ):
        writers = Writers(
            network,
            card.normalization,
            photos,
            rounding=rounding,
            per_tensor=per_tensor,
            equalize=equalize,
        )
        kind = "per tensor" if per_tensor else "per channel"
        name = f"{kind}, {rounding}, {'equalized' if equalize else 'as it is'}"
        for suffix in _FORMATS:
            yield f"{name}.{suffix}", lambda w=writers, s=suffix: w.make(s, "int8", "uint8").content
    yield "per tensor, TFLiteConverter.tflite", lambda: stock_per_tensor(network, photos)


def scores_of(content: bytes, name: str, card: Any, photos: list[Any]) -> Any:
    """Return [N, classes]: a file's answers."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        model = load(path, threads=2)
        batches = data.Reader(photos, card.preprocessing)
        return np.concatenate([model.run(batch.pixels) for batch in batches])


def float_scores(network: Any, card: Any, photos: list[Any]) -> Any:
    """Return [N, classes]: the float file's answers."""
    content = Writers(network, card.normalization, list).make("tflite", "float32", "float32")
    return scores_of(content.content, "float32.tflite", card, photos)


def measure(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Make the files and let them answer the test part; one row each."""
    checkpoint = checkpoints.read(args.checkpoint)
    card, network = checkpoint.card, zoo.restore(checkpoint)
    source = args.data or card.data.source
    training, judging = (
        data.examples_for(source, card.classes, card.data, split=part, limit=None)[0]
        for part in ("train", "test")
    )
    calibrating, _ = data.calibration_photos(training, count=args.count, seed=0)

    def photos() -> Iterator[Any]:
        for batch in data.Reader(calibrating, card.preprocessing):
            yield from batch.pixels[:, None]

    judging = list(judging)[:: -(-len(judging) // args.limit) if args.limit else 1]
    labels = np.array([photo.label for photo in judging])
    before = float_scores(network, card, judging)
    if not args.as_trained:
        network = spread(network, args.seed)
    reference = float_scores(network, card, judging)
    moved = float(np.abs(reference - before).max())
    if moved > _SAME:
        raise SystemExit(f"spreading changed the network: a probability moved by {moved:.2g}")
    expected = reference.argmax(axis=1)
    rows = [_row("float", reference, expected, labels, 0.0)]
    for name, make in makers(network, card, photos):
        if args.only not in name:
            continue
        started = time.process_time()
        content = make()
        seconds = time.process_time() - started
        rows.append(_row(name, scores_of(content, name, card, judging), expected, labels, seconds))
        print(f"{name}: top-1 {100 * rows[-1]['top1']:.2f}", file=sys.stderr, flush=True)
    return rows


def _row(name: str, scores: Any, expected: Any, labels: Any, seconds: float) -> dict[str, Any]:
    answers = scores.argmax(axis=1)
    return {
        "file": name,
        "n": len(labels),
        "top1": float(np.mean(answers == labels)),
        "flips_pct": float(100 * np.mean(answers != expected)),
        "cpu_seconds": seconds,
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", help="photos (default: those of the training)")
    parser.add_argument("--count", type=int, default=200, help="calibration photos")
    parser.add_argument("--limit", type=int, help="test photos at most (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of the random factors")
    parser.add_argument("--as-trained", action="store_true", help="don't spread the ranges")
    parser.add_argument("--only", default="", metavar="TEXT", help="files with this in their name")
    parser.add_argument("--json", type=Path, help="write the rows there as well")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = measure(args)
    print(f"n = {rows[0]['n']}")
    print(f"{'file':48s} {'top-1':>6s} {'drop':>6s} {'flips %':>8s} {'CPU s':>6s}")
    for row in rows:
        drop = 100 * (rows[0]["top1"] - row["top1"])
        print(
            f"{row['file']:48s} {100 * row['top1']:6.2f} {drop:6.2f} {row['flips_pct']:8.2f} "
            f"{row['cpu_seconds']:6.1f}"
        )
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
