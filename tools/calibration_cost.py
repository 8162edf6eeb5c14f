"""Time and memory of calibration, by each way to choose ranges, beside plain float inference.

Run: python tools/calibration_cost.py CKPT [--data DATA] [--photos 1000] [--rounds 3]

Each runs over the same photos in a process of its own, one after the other in each round:
`time` is the median of the rounds' ratios to plain inference of that round, `memory` what
the process took at most beyond the plain one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from edgecnn import zoo  # isort: skip - first: it silences TensorFlow
import numpy as np

from edgecnn import data
from edgecnn.core import checkpoint as checkpoints
from edgecnn.export.writers import Writers
from edgecnn.quantize.ranges import METHODS

_CHILD = """
import json, sys, time
import numpy as np
from pathlib import Path
from edgecnn.core.memory import peak_rss_mb
from edgecnn.quantize.ranges import METHODS
from edgecnn.quantize.tflite import observe, outputs_of
folder, method, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
photos = np.load(folder / "photos.npy", mmap_mode="r")
inputs = (photos[i % len(photos)] for i in range(count))
content = (folder / "float.tflite").read_bytes()
started = time.perf_counter()
if method == "plain":
    for _ in outputs_of(content, inputs):
        pass
else:
    observe(content, inputs, method=method)
print(json.dumps([time.perf_counter() - started, peak_rss_mb()]))
"""


def run(folder: Path, method: str, count: int) -> tuple[float, float]:
    """Return seconds and the peak memory in MB, of a fresh process."""
    command = [sys.executable, "-c", _CHILD, str(folder), method, str(count)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, peak = json.loads(done.stdout.splitlines()[-1])
    return seconds, peak


def prepare(folder: Path, checkpoint: Path, source: str | None) -> None:
    """Write the float file and some photos as it takes them."""
    found = checkpoints.read(checkpoint)
    card = found.card
    photos, _ = data.examples_for(
        source or card.data.source, card.classes, None if source else card.data, limit=100
    )
    pixels = np.concatenate([batch.pixels for batch in data.Reader(photos, card.preprocessing)])
    writers = Writers(zoo.restore(found), card.normalization, lambda: iter(pixels[:, None]))
    (folder / "float.tflite").write_bytes(writers.float_tflite)
    np.save(folder / "photos.npy", np.stack(list(writers.inputs())))


def main() -> None:
    """Measure each way in turn, some rounds, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", help="photos (default: those of the training)")
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, args.checkpoint, args.data)
        rounds = [
            {method: run(folder, method, args.photos) for method in ("plain", *METHODS)}
            for _ in range(args.rounds)
        ]
    print(f"{args.photos} photos, {args.rounds} rounds")
    for method in ("plain", *METHODS):
        seconds = statistics.median(row[method][0] for row in rounds)
        ratio = statistics.median(row[method][0] / row["plain"][0] for row in rounds)
        more = statistics.median(row[method][1] - row["plain"][1] for row in rounds)
        print(f"{method:11s} {seconds:7.1f} s   time {ratio:5.2f}   memory {more:+7.0f} MB")


if __name__ == "__main__":
    main()
