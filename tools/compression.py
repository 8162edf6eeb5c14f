"""What pruning and clustering do to a checkpoint's TFLite files: bytes, top-1 and latency.

Run: python tools/compression.py CKPT [--prune 0.5 0.8] [--cluster 16] [--both 0.5:16]

Fine-tunes the checkpoint once plainly and once for each setting, exports float32 and int8 of
all, judges the files on the test photos, and times all of them in turns. The plain fine-tuning
is there because more epochs alone may change the top-1. With --out a stopped run goes on.
"""

from __future__ import annotations

import argparse
import dataclasses
import gzip
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from latency_against_stock import median_ms, opened

from edgecnn import data, evaluate
from edgecnn.core import checkpoint as checkpoints
from edgecnn.core.checkpoint import Checkpoint
from edgecnn.export import Options, export
from edgecnn.quantize import tflite_graph
from edgecnn.runtime import load
from edgecnn.training import make_recipe, train

SCHEMES = ("float32", "int8")
NAMED = "CONV_2D", "FULLY_CONNECTED"  # operations with kernels that are compressed by default
SAME = 0.05  # latencies that differ by less are called the same


@dataclasses.dataclass(kw_only=True)
class Row:
    """One file, judged and timed."""

    variant: str
    scheme: str
    content: bytes
    top1: float
    zeros: float
    values: int
    samples_ms: list[float] = dataclasses.field(default_factory=list)

    @property
    def gzipped(self) -> int:
        """Bytes after gzip's best."""
        return len(gzip.compress(self.content, 9, mtime=0))


def settings(args: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each variant's name with the recipe's options."""
    yield "fine-tuned alone", {"tune_from": 0.0}
    for share in args.prune:
        yield f"pruned {100 * share:g} %", {"prune": share}
    for count in args.cluster:
        yield f"{count} values", {"cluster": count}
    for text in args.both:
        share, count = text.split(":")
        chosen = {"prune": float(share), "cluster": int(count)}
        yield f"pruned {100 * chosen['prune']:g} %, {count} values", chosen


def variants(base: Checkpoint, args: argparse.Namespace, folder: Path) -> list[Any]:
    """Return names and checkpoints; those that are there already are not trained again."""
    found: list[Any] = [("as it was", base)]
    for name, options in settings(args):
        recipe = make_recipe(base=base.card, **options, tune_epochs=args.epochs)
        out = folder / name.replace(" ", "_").replace(",", "").replace("%", "pct")
        source = args.data or base.card.data.source
        found.append((name, train(source, out, recipe, base=base, resume=True)))
    return found


def weights_of(content: bytes) -> tuple[float, int]:
    """Return the share of zeros in the kernels, and the different values of the largest one."""
    model = tflite_graph.read(content)
    kernels = []
    for operator in model.subgraphs[0].operators:
        if tflite_graph.operation(model, operator) not in NAMED:
            continue
        tensor = model.subgraphs[0].tensors[operator.inputs[1]]
        kind = np.int8 if tensor.type == tflite_graph.schema.TensorType.INT8 else np.float32
        kernels.append(np.frombuffer(bytes(model.buffers[tensor.buffer].data), kind))
    largest = max(kernels, key=lambda kernel: kernel.size)
    zeros = sum(int((kernel == 0).sum()) for kernel in kernels)
    return zeros / sum(kernel.size for kernel in kernels), len(np.unique(largest))


def judged(name: str, checkpoint: Checkpoint, args: argparse.Namespace, folder: Path) -> list[Row]:
    """Export a checkpoint and judge its files."""
    card = checkpoint.card
    options = Options(schemes=SCHEMES, rounding=args.rounding, force=True)
    photos, _ = data.examples_for(
        args.data or card.data.source, card.classes, card.data, split="test"
    )
    rows = []
    for artifact in export(checkpoint, folder, options):
        scores, kept = evaluate.scores_of(load(artifact.path, threads=2), photos)
        right = scores.argmax(1) == np.array([photo.label for photo in kept])
        content = artifact.path.read_bytes()
        zeros, values = weights_of(content)
        rows.append(
            Row(
                variant=name,
                scheme=artifact.metadata.scheme,
                content=content,
                top1=100 * float(right.mean()),
                zeros=100 * zeros,
                values=values,
            )
        )
    return rows


def time_in_turns(rows: list[Row], args: argparse.Namespace) -> None:
    """Time all files, a few inferences each, round after round."""
    runners = [opened(row.content, args.threads) for row in rows]
    for _ in range(args.rounds):
        for row, runner in zip(rows, runners, strict=True):
            row.samples_ms.append(median_ms(runner, args.runs))


def ratio(row: Row, first: Row) -> float:
    """Return a file's latency over the uncompressed one's, the median of all rounds."""
    pairs = zip(row.samples_ms, first.samples_ms, strict=True)
    return statistics.median(mine / theirs for mine, theirs in pairs)


def show(rows: list[Row]) -> None:
    """Print the table, and whether anything became faster."""
    print(
        "| file | zeros % | values, largest kernel | bytes | gzipped | top-1 % | median ms "
        "| of the first |\n|---|---|---|---|---|---|---|---|"
    )
    for row in rows:
        first = next(other for other in rows if other.scheme == row.scheme)
        print(
            f"| {row.scheme}, {row.variant} | {row.zeros:.1f} | {row.values} "
            f"| {len(row.content):,} | {row.gzipped:,} ({row.gzipped / first.gzipped:.2f}) "
            f"| {row.top1:.2f} | {statistics.median(row.samples_ms):.4f} "
            f"| {ratio(row, first):.2f} |"
        )
    firsts = {row.scheme: row for row in reversed(rows)}
    changed = [row for row in rows if abs(ratio(row, firsts[row.scheme]) - 1) > SAME]
    names = ", ".join(f"{row.scheme} {row.variant}" for row in changed)
    print(
        f"\nLatency: {len(rows) - len(changed)} of {len(rows)} files within {100 * SAME:g} % of "
        f"the uncompressed one{f'; not so {names}' if changed else ''}. The kernels are dense: "
        "a zero costs as much as any other weight."
    )


def main() -> None:
    """Compress, export, judge and time."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("checkpoint", type=Path)
    add("--data", help="DATA; by default what the checkpoint was trained on")
    add("--prune", type=float, nargs="*", default=[0.5, 0.8])
    add("--cluster", type=int, nargs="*", default=[16])
    add("--both", nargs="*", default=["0.5:16"], metavar="SHARE:N")
    add("--epochs", type=int, default=20)
    add("--rounding", default="compensated", choices=["compensated", "nearest"])
    add("--out", type=Path, help="keep the compressed checkpoints here")
    add("--threads", type=int, default=1)
    add("--rounds", type=int, default=40)
    add("--runs", type=int, default=25)
    args = parser.parse_args()
    base = checkpoints.read(args.checkpoint)
    with tempfile.TemporaryDirectory() as temporary:
        found = variants(base, args, args.out or Path(temporary) / "runs")
        rows = [
            row
            for place, (name, checkpoint) in enumerate(found)
            for row in judged(name, checkpoint, args, Path(temporary) / str(place))
        ]
    rows.sort(key=lambda row: SCHEMES.index(row.scheme))
    time_in_turns(rows, args)
    reached = base.card.scores_on("test")
    print(
        f"{base.card.arch} {base.card.alpha:g} at {base.card.preprocessing.height} px, "
        f"{base.card.params:,} parameters; test n = "
        f"{reached.n if reached else 0}; {args.epochs} epochs; {args.rounding} rounding; "
        f"{args.threads} thread, {args.rounds} rounds of {args.runs} inferences in turns"
    )
    show(rows)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
