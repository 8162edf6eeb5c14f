"""The zoo's closing table: parameters, MACs, and what int8 changes, of each architecture.

Run: python tools/zoo_table.py --data PHOTOS [--out FOLDER] [--only NAME ...] [--size 96]
     python tools/zoo_table.py --data PHOTOS --imagenet SYNSETS --only efficientnet_lite0

Agreement is measured on the exported files, on photos that neither fitted nor calibrated.
A network without weights would answer at random, and agreement say nothing. So its random
filters are made smooth, its batch norms are settled on real photos with most of the signal
above zero (deep random networks are chaotic otherwise: no two photos of a class look alike
to them), and its last layer is fitted to the classes in closed form: ridge regression.
One process a row, one JSON file a row: a run that was stopped continues where it was.

With --imagenet the networks have their published weights at their own size, photos of
PHOTOS calibrate, and all photos of SYNSETS, a folder a synset, judge.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

REPOSITORY = Path(__file__).parents[1]
_SETTLING_PHOTOS = 96
_CALIBRATING_PHOTOS = 128
_PER_CLASS = 130
_SPLIT = (60.0, 40.0, 0.0)
# Ridge regression's weight decays to choose from, as a share of the features' mean square.
_DECAYS = (0.01, 0.1, 1.0, 10.0, 100.0)
# How much of a random kernel is the same at all its places.
_SMOOTH = 0.7
# Of batch norm, in deviations: nearly all of the signal passes a ReLU behind it.
_LIFT = 1.5
# Spreads the fitted logits: an unsure softmax wastes most of its 256 steps.
_SPREAD = 4.0
_COLUMNS = (
    "model", "parameters", "published", "MACs, M", "published", "size", "float top-1",
    "TFLite int8 agreement", "ONNX int8 agreement", "n", "in float",
)  # fmt: skip


def catalogue() -> list[dict[str, Any]]:
    with (REPOSITORY / "models" / "catalogue.toml").open("rb") as file:
        return tomllib.load(file)["architecture"]


def published() -> dict[tuple[str, float], Any]:
    """The rows of tests/zoo/test_architectures.py: what others say of each model."""
    path = REPOSITORY / "tests" / "zoo" / "test_architectures.py"
    spec = importlib.util.spec_from_file_location("test_architectures", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return {(row.arch, row.alpha): row for row in module.ROWS}


def few_photos(source: Path, folder: Path) -> Path:
    """Link some photos of each class into a folder of their own."""
    for label in sorted(path for path in source.iterdir() if path.is_dir()):
        (folder / label.name).mkdir(parents=True)
        for photo in sorted(label.iterdir())[:_PER_CLASS]:
            (folder / label.name / photo.name).symlink_to(photo.resolve())
    return folder


def calm(model: Any) -> None:
    """Make random filters smooth, and let batch norms lift what they normalize."""
    import keras
    import numpy as np

    for layer in model.layers:
        weights = layer.get_weights()
        if isinstance(layer, keras.layers.BatchNormalization) and layer.center:
            layer.beta.assign(np.full(layer.beta.shape, _LIFT, np.float32))
        for index, kernel in enumerate(weights):
            if kernel.ndim == 4 and kernel.shape[0] > 1:
                same = kernel[:1, :1] * np.ones_like(kernel)
                weights[index] = _SMOOTH * same + (1 - _SMOOTH) * kernel
                layer.set_weights(weights)


def settle(model: Any, photos: Any) -> None:
    """Give every batch norm the mean and variance of one batch of photos."""
    import keras

    norms = [n for n in model.layers if isinstance(n, keras.layers.BatchNormalization)]
    usual = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    model(photos, training=True)
    for norm, momentum in zip(norms, usual, strict=True):
        norm.momentum = momentum


def fit_last_layer(model: Any, pixels: Any, labels: Any, classes: int) -> None:
    """Fit the logits to the labels by ridge regression; leaving one out chooses the decay."""
    import keras
    import numpy as np

    last = model.get_layer("logits")
    trunk = keras.Model(model.input, last.input)
    features = in_batches(trunk, pixels).astype(np.float64)
    mean, targets = features.mean(axis=0), np.eye(classes)[labels]
    offset = targets.mean(axis=0)
    centred = features - mean
    left, size, right = np.linalg.svd(centred, full_matrices=False)
    seen = left.T @ (targets - offset)
    best = None
    for share in _DECAYS:
        kept = size**2 / (size**2 + share * np.mean(size**2))
        guess = (left * kept) @ seen
        leverage = np.sum(left**2 * kept, axis=1, keepdims=True)
        missed = np.mean(((targets - offset - guess) / (1 - leverage)) ** 2)
        if best is None or missed < best[0]:
            best = missed, (right.T * (kept / np.maximum(size, 1e-30))) @ seen, guess
    _, weights, guess = best
    spread = _SPREAD * targets.std() / guess.std()
    last.set_weights([spread * weights, spread * (offset - mean @ weights)])


@dataclasses.dataclass
class Made:
    """A network that answers something about the photos, and the photos of both parts."""

    model: Any
    normalization: Any
    pixels: dict[str, Any]
    labels: dict[str, Any]


def make_network(entry: dict[str, Any], args: argparse.Namespace, folder: Path) -> Made:
    import keras
    import numpy as np

    from edgecnn import data, zoo

    keras.utils.set_random_seed(0)
    architecture = zoo.find(entry["arch"])
    size = min(architecture.default_size, max(architecture.min_size, args.size))
    how = architecture.preprocessing(size)
    dataset = data.open_data(str(few_photos(args.data.resolve(), folder / "photos")), split=_SPLIT)
    model = zoo.classifier(
        entry["arch"], len(dataset.classes), shape=how.shape, alpha=entry["alpha"]
    )
    made = Made(model, architecture.normalization, {}, {})
    for part in ("train", "val"):
        batches = list(data.Reader(dataset.parts[part], how))
        order = np.random.default_rng(0).permutation(sum(len(b.pixels) for b in batches))
        made.pixels[part] = np.concatenate([batch.pixels for batch in batches])[order]
        made.labels[part] = np.concatenate([batch.labels for batch in batches])[order]
    calm(model)
    settle(model, made.pixels["train"][:_SETTLING_PHOTOS].astype(np.float32))
    fit_last_layer(model, made.pixels["train"], made.labels["train"], len(dataset.classes))
    return made


def open_network(entry: dict[str, Any], args: argparse.Namespace, folder: Path) -> Made:
    """The network with its ImageNet weights."""
    import numpy as np

    from edgecnn import data, zoo

    arch, alpha = entry["arch"], entry["alpha"]
    how = zoo.find(arch).preprocessing()
    weights = zoo.open_weights(arch, "imagenet", alpha=alpha)
    model = zoo.classifier(arch, 1000, shape=how.shape, alpha=alpha, weights=weights)
    made = Made(model, weights.normalization or zoo.find(arch).normalization, {}, {})
    synsets = (REPOSITORY / "edgecnn" / "data" / "imagenet_synsets.txt").read_text().split()
    few = few_photos(args.data.resolve(), folder / "photos")
    for part, source in (("train", few), ("val", args.imagenet.resolve())):
        dataset = data.open_data(str(source))
        batches = list(data.Reader(dataset.examples, how))
        made.pixels[part] = np.concatenate([batch.pixels for batch in batches])
        places = [synsets.index(name) if name in synsets else -1 for name in dataset.classes]
        labels = np.concatenate([batch.labels for batch in batches])
        made.labels[part] = np.asarray(places)[labels]
    order = np.random.default_rng(0).permutation(len(made.pixels["train"]))
    made.pixels["train"] = made.pixels["train"][order]
    return made


def in_batches(model: Any, pixels: Any) -> Any:
    import numpy as np

    batches = np.array_split(pixels.astype(np.float32), -(-len(pixels) // 32))
    return np.concatenate([np.asarray(model(batch, training=False)) for batch in batches])


def measure(entry: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    """Make one row."""
    import resource

    import numpy as np

    from edgecnn.export.writers import Writers
    from edgecnn.runtime import load
    from edgecnn.runtime.inspect import inspect

    started = time.perf_counter()
    files = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        made = (open_network if args.imagenet else make_network)(entry, args, folder)
        pixels, labels = made.pixels["val"], made.labels["val"]
        expected = in_batches(made.model, pixels).argmax(axis=1)
        calibrating = made.pixels["train"][:_CALIBRATING_PHOTOS]
        writers = Writers(made.model, made.normalization, lambda: (p[None] for p in calibrating))
        for suffix in ("tflite", "onnx"):
            begun = time.perf_counter()
            written = writers.make(suffix, "int8", "uint8")
            seconds = time.perf_counter() - begun
            path = folder / f"network.{suffix}"
            path.write_bytes(written.content)
            answers = np.asarray(load(path, threads=2).run(pixels)).argmax(axis=1)
            seen = inspect(path)
            files[f"{suffix} int8"] = {
                "n": len(labels),
                "float_top1": float(np.mean(expected == labels)),
                "top1": float(np.mean(answers == labels)),
                "agreement_pct": 100 * float(np.mean(answers == expected)),
                "bytes": len(written.content),
                "seconds": seconds,
                "int8_ops": seen["int8_ops"],
                "float_ops": seen["float_ops"],
                "in_float": list(written.float_operations),
            }
    return {
        "name": entry["name"],
        "size": pixels.shape[1],
        "seconds": time.perf_counter() - started,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "files": files,
    }


def said(row: Any) -> tuple[str, str]:
    """Published parameters and millions of MACs, as the source counts them."""
    if row is None:
        return "", ""
    mark = "" if row.counted == "all" else " trainable"
    if (row.classes, row.channels) != (1000, 3):
        mark += f" ({row.classes} classes, {row.channels} channel{'s' * (row.channels > 1)})"
    return f"{row.params:,}{mark}", f"{row.macs_millions:,g}"


def table(rows: list[dict[str, Any]]) -> str:
    """The Markdown table."""
    entries, others = {entry["name"]: entry for entry in catalogue()}, published()
    lines = ["| " + " | ".join(_COLUMNS) + " |", "|" + "---|" * len(_COLUMNS)]
    for row in rows:
        entry, files = entries[row["name"]], row["files"]
        parameters, macs = said(others.get((entry["arch"], entry["alpha"])))
        tflite, onnx = files["tflite int8"], files["onnx int8"]
        in_float = sorted({name for file in (tflite, onnx) for name in file.get("in_float", ())})
        cells = (
            entry["name"], f"{entry['params']:,}", parameters, f"{entry['macs'] / 1e6:,.1f}", macs,
            row["size"], f"{100 * (tflite['float_top1'] or 0):.1f}",
            f"{tflite['agreement_pct']:.1f}", f"{onnx['agreement_pct']:.1f}", tflite["n"],
            ", ".join(in_float),
        )  # fmt: skip
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def main() -> None:
    """Make the rows that are missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("zoo_table"))
    parser.add_argument("--imagenet", type=Path)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--row", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    entries = [e for e in catalogue() if not args.only or e["name"] in args.only]
    if args.row:
        (entry,) = (e for e in catalogue() if e["name"] == args.row)
        text = json.dumps(measure(entry, args), indent=1)
        (args.out / f"{args.row}.json").write_text(text + "\n")
        return
    for entry in entries:
        name = entry["name"]
        if (args.out / f"{name}.json").exists():
            continue
        command = [sys.executable, __file__, *sys.argv[1:], "--row", name]
        if subprocess.run(command, check=False).returncode:
            print(f"{name} failed", file=sys.stderr, flush=True)
    done = [args.out / f"{e['name']}.json" for e in entries]
    rows = [json.loads(path.read_text()) for path in done if path.exists()]
    text = table(rows)
    (args.out / "table.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
