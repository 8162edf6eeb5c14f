"""ONNX int8 files on an emulated x86 CPU with AVX2 and without VNNI, beside this CPU.

Run: python tools/without_vnni.py CKPT [--limit 100] [--cpu Haswell]

Needs qemu-x86_64 (Debian: qemu-user). Int8 kernels of such CPUs add pairs of products in
16 bits and saturate on signed weights; ours and quantize_static's files are judged there
against the float checkpoint, on the same photos. Only answers count, never times.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

_CHILD = """
import sys
import numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.log_severity_level = 4
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options)
entry = session.get_inputs()[0]
dtype = numpy.uint8 if entry.type == "tensor(uint8)" else numpy.float32
photos = numpy.load(sys.argv[2])
rows = [session.run(None, {entry.name: photo[None].astype(dtype)})[0][0] for photo in photos]
numpy.save(sys.argv[3], numpy.stack(rows).astype(numpy.float32))
"""


def answers(file: Path, photos: Path, prefix: list[str]) -> np.ndarray:
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

    from int8_against_stock import all_files

    from edgecnn import data, evaluate, zoo
    from edgecnn.core import checkpoint as checkpoints

    checkpoint = checkpoints.read(args.checkpoint)
    card = checkpoint.card
    chosen, split = data.examples_for(card.data.source, card.classes, card.data, limit=args.limit)
    reference, chosen = evaluate.scores_of(zoo.CheckpointRunner(checkpoint), chosen)
    labels = np.array([example.label for example in chosen])
    expected = reference.argmax(axis=1)
    print(f"{card.name}, {split}, n = {len(labels)}; float top-1 {np.mean(expected == labels):.4f}")
    print(f"{'file':30s} {'this CPU: flips, top-1':>24s} {args.cpu + ': flips, top-1':>26s}")
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos.npy"
        reader = data.Reader(chosen, card.preprocessing)
        np.save(photos, np.concatenate([batch.pixels for batch in reader]))
        for name, file in all_files(checkpoint, 200, Path(folder)):
            if file.suffix != ".onnx":
                continue
            cells = []
            for prefix in ([], ["qemu-x86_64", "-cpu", args.cpu]):
                found = answers(file, photos, prefix)
                cells.append(f"{np.sum(found != expected):6d}   {np.mean(found == labels):.4f}")
            print(f"{name:30s} {cells[0]:>24s} {cells[1]:>26s}", flush=True)


if __name__ == "__main__":
    main()
