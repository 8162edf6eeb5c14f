"""Time and memory of calibration and of compensated rounding, beside plain float inference.

Run: python tools/calibration_cost.py CKPT [--data DATA] [--photos 1000] [--rounds 3]

Each way to choose ranges runs over the same photos in a process of its own, one after the
other in each round: `time` is the median of the rounds' ratios to plain inference of that
round, `memory` what the process took at most beyond the plain one. Then the whole plan with
compensated rounding is made once from 200 photos.
"""

from __future__ import annotations

import argparse
import dataclasses
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
from edgecnn.core.normalization import Normalization
from edgecnn.quantize.compensate import compensate
from edgecnn.quantize.grid import input_grid
from edgecnn.quantize.planning import make_plan
from edgecnn.quantize.tflite import observe, outputs_of
folder, method, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
photos = np.load(folder / "photos.npy", mmap_mode="r")
def inputs():
    return (photos[i % len(photos)] for i in range(count))
content = (folder / "float.tflite").read_bytes()
started, busy = time.perf_counter(), time.process_time()
if method == "plain":
    for _ in outputs_of(content, inputs()):
        pass
elif method == "compensated":
    grid, shift = input_grid(Normalization(**json.loads((folder / "normal.json").read_text())))
    seen = observe(content, inputs(), method="mse").tensors
    compensate(content, make_plan(content, seen, input_grid=grid, input_shift=shift), inputs)
else:
    observe(content, inputs(), method=method)
seconds = time.perf_counter() - started, time.process_time() - busy
print(json.dumps([*seconds, peak_rss_mb()]))
"""


_ROUNDED = 200


def run(folder: Path, method: str, count: int) -> tuple[float, float, float]:
    """Return seconds, seconds of CPU and the peak memory in MB, of a fresh process."""
    command = [sys.executable, "-c", _CHILD, str(folder), method, str(count)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, busy, peak = json.loads(done.stdout.splitlines()[-1])
    return seconds, busy, peak


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
    normal = dataclasses.asdict(card.normalization)
    (folder / "normal.json").write_text(json.dumps(normal))
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
        rounding = run(folder, "compensated", _ROUNDED)
    print(f"{args.photos} photos, {args.rounds} rounds")
    for method in ("plain", *METHODS):
        seconds = statistics.median(row[method][0] for row in rounds)
        ratio = statistics.median(row[method][0] / row["plain"][0] for row in rounds)
        more = statistics.median(row[method][2] - row["plain"][2] for row in rounds)
        print(f"{method:11s} {seconds:7.1f} s   time {ratio:5.2f}   memory {more:+7.0f} MB")
    more = rounding[2] - statistics.median(row["plain"][2] for row in rounds)
    print(
        f"plan with compensated rounding, {_ROUNDED} photos: {rounding[1]:.0f} s of CPU,", end=" "
    )
    print(f"memory {more:+.0f} MB, {rounding[2]:.0f} MB in all")


if __name__ == "__main__":
    main()
