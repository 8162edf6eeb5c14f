"""Our int8 files against what the stock tools make of the same checkpoint, on the same photos.

Run: python tools/int8_against_stock.py CKPT [--data DATA] [--seeds 3] [--halves] [--qat EPOCHS]
     [--ranges minmax,mse] [--json FILE]

Calibrates on the training part and judges on the test part; with --halves on the one half
of all photos and then on the other, each judged on the half that it has not seen. Prints
for each file top-1, drop and flips against the float checkpoint and how far its scores are
from the checkpoint's (means over the seeds or halves), bytes, CPU seconds of making it, and
how far ours agree with each other.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np

from edgecnn import data, evaluate, zoo
from edgecnn.convert import onnx as to_onnx
from edgecnn.convert.fold import fold_batch_norm
from edgecnn.convert.frozen import Frozen, freeze
from edgecnn.core import checkpoint as checkpoints
from edgecnn.core.artifact import Format
from edgecnn.core.quiet import quiet_stderr
from edgecnn.export.writers import Writers
from edgecnn.quantize.plan import Rounding
from edgecnn.quantize.ranges import DEFAULT, METHODS, Method
from edgecnn.runtime import load

_FORMATS: tuple[Format, ...] = ("tflite", "onnx")


def stock_tflite(frozen: Frozen, photos: Callable[[], Iterator[Any]]) -> bytes:
    """What TFLiteConverter writes with its usual options for full integer."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen.function])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([photo] for photo in photos())
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.uint8
    with quiet_stderr():
        return bytes(converter.convert())


def stock_onnx(float_file: bytes, photos: Callable[[], Iterator[Any]], *, signed: bool) -> bytes:
    """What quantize_static writes per channel: signed (its default) or unsigned weights."""
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    class Photos(CalibrationDataReader):
        def __init__(self) -> None:
            self.photos = photos()

        def get_next(self) -> dict[str, Any] | None:
            photo = next(self.photos, None)
            return None if photo is None else {"image": photo}

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        source.write_bytes(float_file)
        quantize_static(
            source,
            target,
            Photos(),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8 if signed else QuantType.QUInt8,
        )
        return target.read_bytes()


def ai_edge_quantizer(frozen: Frozen, photos: Callable[[], Iterator[Any]]) -> bytes | None:
    """What ai-edge-quantizer's static recipe writes; None where it isn't installed."""
    try:
        from ai_edge_quantizer import quantizer, recipe
    except ImportError:
        return None
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        module = tf.Module()
        module.call = tf.function(
            lambda image: frozen.function(image)[0],
            input_signature=[tf.TensorSpec(frozen.shape, tf.float32, name="image")],
        )
        tf.saved_model.save(
            module,
            folder,
            signatures=module.call.get_concrete_function(),
            options=tf.saved_model.SaveOptions(experimental_custom_gradients=False),  # of swish
        )
        with quiet_stderr():
            float_file = tf.lite.TFLiteConverter.from_saved_model(folder).convert()
        path = Path(folder) / "float.tflite"
        path.write_bytes(float_file)
        tool = quantizer.Quantizer(str(path), recipe.static_wi8_ai8())
        samples = {"serving_default": [{"image": photo} for photo in photos()]}
        return bytes(tool.quantize(tool.calibrate(samples)).quantized_model)


@dataclasses.dataclass(frozen=True)
class Draw:
    """Photos to calibrate on, and photos to judge on."""

    calibrating: tuple[Any, ...]
    judging: tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class Row:
    """What one file did on the photos of one draw.

    Attributes:
        moved: Mean total variation distance of its scores from the checkpoint's, 0..1.
    """

    top1: float
    float_top1: float
    flips: int
    moved: float
    n: int
    size_bytes: int
    cpu_seconds: float
    answers: Any = dataclasses.field(repr=False)


def draws(card: Any, args: argparse.Namespace) -> Iterator[Draw]:
    """Yield the draws that the options ask for."""
    source = args.data or card.data.source
    if args.halves:
        photos, _ = data.examples_for(source, card.classes, None, split="all")
        for seed in range(args.seeds):
            order = np.random.default_rng(seed).permutation(len(photos[1::2]))[: args.count]
            for half, judging in ((photos[::2], photos[1::2]), (photos[1::2], photos[::2])):
                yield Draw(tuple(half[i] for i in sorted(order)), tuple(judging))
        return
    training, judging = (
        data.examples_for(source, card.classes, card.data, split=part, limit=None)[0]
        for part in ("train", "test")
    )
    for seed in range(args.seeds):
        chosen, _ = data.calibration_photos(training, count=args.count, seed=seed)
        yield Draw(tuple(chosen), tuple(judging))


def makers(
    network: Any, card: Any, draw: Draw, args: argparse.Namespace
) -> dict[str, Callable[[], bytes | None]]:
    """Return what makes each file, by its name with its suffix."""

    def pixels() -> Iterator[Any]:
        for batch in data.Reader(draw.calibrating, card.preprocessing):
            yield from batch.pixels[:, None]

    def floats() -> Iterator[Any]:
        return (photo.astype(np.float32) for photo in pixels())

    frozen = freeze(fold_batch_norm(network))

    @functools.cache
    def writers(rounding: Rounding, ranges: Method) -> Writers:
        return Writers(network, card.normalization, pixels, rounding=rounding, ranges=ranges)

    ours: dict[str, Callable[[], Writers]] = {
        f"{rounding} {ranges}": functools.partial(writers, rounding, ranges)
        for rounding in get_args(Rounding)
        for ranges in args.ranges
    }
    if args.qat:
        ours["trained"] = functools.cache(lambda: _trained(writers, args))
    return {
        f"edgecnn {name}.{suffix}": lambda make=make, suffix=suffix: (
            make().make(suffix, "int8", "uint8").content
        )
        for name, make in ours.items()
        for suffix in _FORMATS
    } | {
        "TFLiteConverter.tflite": lambda: stock_tflite(frozen, floats),
        "ai-edge-quantizer.tflite": lambda: ai_edge_quantizer(frozen, floats),
        "quantize_static S8.onnx": lambda: stock_onnx(to_onnx.float32(frozen), floats, signed=True),
        "quantize_static U8.onnx": lambda: stock_onnx(
            to_onnx.float32(frozen), floats, signed=False
        ),
    }


def _trained(writers: Callable[..., Writers], args: argparse.Namespace) -> Writers:
    """Return writers whose plan was trained for some epochs."""
    plain = writers("compensated", args.ranges[0])
    trained = plain.calibrated(plain.photos)
    trained.plan = trained.trained(plain.plan, epochs=args.qat)
    return trained


def scores_of(path: Path, card: Any, photos: tuple[Any, ...]) -> Any:
    """Return a file's scores of each photo, [photos, classes]; each photo's add up to one."""
    model = load(path, threads=2)
    batches = data.Reader(photos, card.preprocessing)
    scores = np.concatenate([model.run(batch.pixels) for batch in batches]).astype(np.float64)
    return scores / scores.sum(axis=1, keepdims=True)


def judge(checkpoint: Any, draw: Draw, folder: Path, args: argparse.Namespace) -> dict[str, Row]:
    """Make all files from the same photos and let them answer the others."""
    card, network = checkpoint.card, zoo.restore(checkpoint)
    reference, photos = evaluate.scores_of(zoo.CheckpointRunner(checkpoint), draw.judging)
    labels, expected = np.array([photo.label for photo in photos]), reference.argmax(axis=1)
    rows = {}
    for name, make in makers(network, card, draw, args).items():
        started = time.process_time()
        content = make()
        if content is None:
            continue
        seconds = time.process_time() - started
        (folder / name).write_bytes(content)
        scores = scores_of(folder / name, card, tuple(photos))
        answers = scores.argmax(axis=1)
        rows[name] = Row(
            top1=float(np.mean(answers == labels)),
            float_top1=float(np.mean(expected == labels)),
            flips=int(np.sum(answers != expected)),
            moved=float(np.abs(scores - reference).sum(axis=1).mean() / 2),
            n=len(labels),
            size_bytes=len(content),
            cpu_seconds=seconds,
            answers=answers,
        )
        print(f"{name}: {rows[name].flips} flips of {len(labels)}", file=sys.stderr, flush=True)
    return rows


def show(found: list[dict[str, Row]]) -> None:
    """Print the table: means over the draws."""
    heads = {"top-1": 2, "drop": 2, "flips %": 2, "moved %": 2, "bytes": 0, "CPU s": 1}
    print(f"{'file':34s}", *(f"{head:>9s}" for head in heads))
    for name in found[0]:
        rows = [draw[name] for draw in found]
        columns = [
            [100 * row.top1 for row in rows],
            [100 * (row.float_top1 - row.top1) for row in rows],
            [100 * row.flips / row.n for row in rows],
            [100 * row.moved for row in rows],
            [float(row.size_bytes) for row in rows],
            [row.cpu_seconds for row in rows],
        ]
        cells = zip(map(statistics.mean, columns), heads.values(), strict=True)
        print(f"{name:34s}", *(f"{mean:9.{places}f}" for mean, places in cells))
    for kind in sorted({Path(name).stem for name in found[0] if name.startswith("edgecnn ")}):
        pair = [f"{kind}.{suffix}" for suffix in _FORMATS]
        same = [np.mean(draw[pair[0]].answers == draw[pair[1]].answers) for draw in found]
        print(f"{kind}: TFLite and ONNX agree on {100 * statistics.mean(same):.2f} %")


def main() -> None:
    """Make all files, judge them on the same photos, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", help="photos (default: those of the training)")
    parser.add_argument("--count", type=int, default=200, help="calibration photos")
    parser.add_argument("--seeds", type=int, default=1, help="draws of calibration photos")
    parser.add_argument("--halves", action="store_true", help="calibrate on one half, and swap")
    parser.add_argument(
        "--ranges",
        type=lambda text: text.split(","),
        default=[DEFAULT],
        help=f"ways to choose ranges, of {', '.join(METHODS)} (default: {DEFAULT})",
    )
    parser.add_argument("--qat", type=int, default=0, help="train with rounding, so many epochs")
    parser.add_argument("--json", type=Path, help="write the rows there as well")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    checkpoint = checkpoints.read(args.checkpoint)
    with tempfile.TemporaryDirectory() as folder:
        chosen = draws(checkpoint.card, args)
        found = [judge(checkpoint, draw, Path(folder), args) for draw in chosen]
    rows = next(iter(found[0].values()))
    print(f"{checkpoint.card.arch}, {len(found)} draws, n = {rows.n} each")
    show(found)
    if args.json:
        plain = [
            {name: {**dataclasses.asdict(row), "answers": None} for name, row in draw.items()}
            for draw in found
        ]
        args.json.write_text(json.dumps(plain, indent=1) + "\n")


if __name__ == "__main__":
    main()
