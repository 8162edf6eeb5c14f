"""Our int8 files against what the stock tools make of the same checkpoint, on the same photos.

Run: python tools/int8_against_stock.py CKPT [--data DATA] [--split test] [--count 200]

Prints top-1, drop and flips against the float checkpoint for each file, with n.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn import data, evaluate, zoo
from edgecnn.convert import onnx as to_onnx
from edgecnn.convert.fold import fold_batch_norm
from edgecnn.convert.frozen import Frozen, freeze
from edgecnn.core import checkpoint as checkpoints
from edgecnn.core.quiet import quiet_stderr
from edgecnn.export.export import Options, export
from edgecnn.runtime import load


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
        tf.saved_model.save(module, folder, signatures=module.call.get_concrete_function())
        with quiet_stderr():
            float_file = tf.lite.TFLiteConverter.from_saved_model(folder).convert()
        path = Path(folder) / "float.tflite"
        path.write_bytes(float_file)
        tool = quantizer.Quantizer(str(path), recipe.static_wi8_ai8())
        samples = {"serving_default": [{"image": photo} for photo in photos()]}
        return bytes(tool.quantize(tool.calibrate(samples)).quantized_model)


def all_files(checkpoint: Any, count: int, folder: Path) -> list[tuple[str, Path]]:
    """Write ours and the stock tools' files from the same photos; return names and paths."""
    card = checkpoint.card
    training, _ = data.examples_for(
        card.data.source, card.classes, card.data, split="train", limit=None
    )
    chosen, _ = data.calibration_photos(training, count=count, seed=0)

    def pixels() -> Iterator[Any]:
        for batch in data.Reader(chosen, card.preprocessing):
            yield from batch.pixels[:, None].astype(np.float32)

    frozen = freeze(fold_batch_norm(zoo.restore(checkpoint)))
    float_onnx = to_onnx.float32(frozen)
    options = Options(
        formats=("tflite", "onnx"), schemes=("float32", "int8"), calibration_count=count
    )
    ours = export(checkpoint, folder, options)
    files = [(f"edgecnn {a.metadata.scheme} {a.metadata.format}", a.path) for a in ours]
    stock = {
        "stock TFLiteConverter int8.tflite": stock_tflite(frozen, pixels),
        "ai-edge-quantizer static int8.tflite": ai_edge_quantizer(frozen, pixels),
        "quantize_static S8 weights.onnx": stock_onnx(float_onnx, pixels, signed=True),
        "quantize_static U8 weights.onnx": stock_onnx(float_onnx, pixels, signed=False),
    }
    for name, content in stock.items():
        if content is not None:
            (folder / name).write_bytes(content)
            files.append((Path(name).stem, folder / name))
    return files


def main() -> None:
    """Make all files, judge them on the same photos, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data")
    parser.add_argument("--split", default="test")
    parser.add_argument("--count", type=int, default=200)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    checkpoint = checkpoints.read(args.checkpoint)
    card = checkpoint.card
    source = args.data or card.data.source
    photos, _ = data.examples_for(source, card.classes, card.data, split=args.split, limit=None)
    reference, photos = evaluate.scores_of(zoo.CheckpointRunner(checkpoint), photos)
    labels = np.array([photo.label for photo in photos])
    expected = reference.argmax(1)
    float_top1 = 100 * float(np.mean(expected == labels))
    print(f"{source}, {args.split}, n = {len(labels)}; float checkpoint {float_top1:.2f}")
    print(f"{'file':30s} {'top-1':>7s} {'drop':>6s} {'flips':>6s} {'flips %':>8s} {'diff':>9s}")
    with tempfile.TemporaryDirectory() as folder:
        for name, path in all_files(checkpoint, args.count, Path(folder)):
            model = load(path, threads=2)
            reader = data.Reader(photos, card.preprocessing)
            scores = np.concatenate([model.run(batch.pixels) for batch in reader])
            top1 = 100 * float(np.mean(scores.argmax(1) == labels))
            flips = int(np.sum(scores.argmax(1) != expected))
            print(
                f"{name:30s} {top1:7.2f} {float_top1 - top1:6.2f} {flips:6d} "
                f"{100 * flips / len(labels):8.2f} {np.abs(scores - reference).max():9.2g}"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
