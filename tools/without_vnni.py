"""Int8 files on an emulated x86 CPU with AVX2 and without VNNI, beside this CPU.

Run: python tools/without_vnni.py CKPT [--limit 100] [--cpu Haswell]

Needs qemu-x86_64 (Debian: qemu-user). Int8 kernels of such CPUs add pairs of products in
16 bits and saturate on signed weights; our files and the stock tools' are judged there
against the float checkpoint, on the same photos. Only answers count, never times.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

from edgecnn import zoo  # isort: skip - first: it silences TensorFlow
import numpy as np
from int8_against_stock import Draw, makers

from edgecnn import data, evaluate
from edgecnn.core import checkpoint as checkpoints
from edgecnn.quantize.ranges import DEFAULT

_CHILD = """
import sys
from pathlib import Path
import numpy
from edgecnn.runtime import load
model = load(Path(sys.argv[1]), threads=1)
photos = numpy.load(sys.argv[2])
numpy.save(sys.argv[3], numpy.concatenate([model.run(photo[None]) for photo in photos]))
"""


def answers(file: Path, photos: Path, prefix: list[str]) -> Any:
    """Return the class of each photo, from a process of its own."""
    out = photos.with_name("scores.npy")
    command = [*prefix, sys.executable, "-c", _CHILD, str(file), str(photos), str(out)]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return np.load(out).argmax(axis=1)


def main() -> None:
    """Print how many answers each file changes, here and there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--cpu", default="Haswell")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    checkpoint = checkpoints.read(args.checkpoint)
    card = checkpoint.card
    training, judging = (
        data.examples_for(card.data.source, card.classes, card.data, split=part, limit=limit)[0]
        for part, limit in (("train", None), ("test", args.limit))
    )
    reference, judging = evaluate.scores_of(zoo.CheckpointRunner(checkpoint), judging)
    chosen, _ = data.calibration_photos(training, count=200, seed=0)
    wanted = argparse.Namespace(ranges=[DEFAULT], qat=0)
    draw = Draw(tuple(chosen), tuple(judging))
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos.npy"
        reader = data.Reader(judging, card.preprocessing)
        np.save(photos, np.concatenate([batch.pixels for batch in reader]))
        print(f"{card.name}, n = {len(judging)}: answers that differ from the float checkpoint's")
        print(f"{'file':34s} {'this CPU':>10s} {args.cpu:>10s}")
        there = {}
        for name, make in makers(zoo.restore(checkpoint), card, draw, wanted).items():
            if (content := make()) is None:
                continue
            (Path(folder) / name).write_bytes(content)
            here, there[name] = (
                answers(Path(folder) / name, photos, prefix)
                for prefix in ([], ["qemu-x86_64", "-cpu", args.cpu])
            )
            cells = (np.sum(found != reference.argmax(axis=1)) for found in (here, there[name]))
            print(f"{name:34s}", *(f"{cell:10d}" for cell in cells), flush=True)
    pair = [there[f"edgecnn compensated {DEFAULT}.{suffix}"] for suffix in ("tflite", "onnx")]
    print(f"compensated: TFLite and ONNX agree there on {100 * np.mean(pair[0] == pair[1]):.2f} %")


if __name__ == "__main__":
    main()
