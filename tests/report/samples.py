"""Results of a made-up project: one checkpoint, five files, ten measurements."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import itertools

import numpy as np
from PIL import Image

from edgecnn.core import schema
from edgecnn.core.checkpoint import Card, ClassScore, DataManifest, Epoch, Phase, Scores
from edgecnn.core.image import Preprocessing
from edgecnn.core.measurement import Accuracy, Latency, Measurement, Memory
from edgecnn.core.noise import LayerNoise, Noise, Relief
from edgecnn.core.normalization import same_for_all
from edgecnn.core.parity import Check, Flip, Pair, Parity, ParityRow
from edgecnn.report.collect import ArtifactRow

CLASSES = ("daisy", "dandelion", "rose", "sunflower", "tulip")

# name, size in bytes, top-1, agreement, median ms with one thread, peak MB
FILES = (
    ("flowers-float32.tflite", 13_652_000, 0.8182, 100.0, 4.02, 74.1),
    ("flowers-float16.tflite", 6_851_000, 0.8182, 99.87, 3.93, 70.3),
    ("flowers-dynamic.tflite", 3_823_000, 0.8103, 96.1, 5.04, 58.2),
    ("flowers-int8.tflite", 3_951_000, 0.8208, 98.55, 2.31, 53.4),
    ("flowers-int8.onnx", 4_013_000, 0.8195, 98.42, 3.82, 73.0),
)
PHOTOS = 759


def sha_of(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def measurement(
    name: str = "flowers-int8.tflite",
    *,
    median: float = 2.31,
    threads: int = 1,
    bytes_: int = 3_951_000,
    peak: float = 53.4,
    runs: int = 700,
    reasons: tuple[str, ...] = (),
    top1: float | None = None,
) -> Measurement:
    random = np.random.default_rng(len(name) + threads)
    samples = median * (1 + random.gamma(1.5, 0.02, runs))
    scheme, suffix = name.rpartition("-")[2].split(".")
    return Measurement(
        model=name,
        sha256=sha_of(name),
        bytes=bytes_,
        format=suffix,
        scheme=scheme,
        target="cpu",
        runtime="litert" if suffix == "tflite" else "onnxruntime",
        runtime_version="2.3.0" if suffix == "tflite" else "1.31.1",
        delegate="XNNPACK" if suffix == "tflite" else "CPUExecutionProvider",
        delegated_nodes=66 if suffix == "tflite" else None,
        total_nodes=68 if suffix == "tflite" else None,
        threads=threads,
        latency_ms=Latency(
            init=11.2, first=median * 2.1, warmup_runs=130, samples_ms=tuple(map(float, samples))
        ),
        preprocess_ms=1.42,
        postprocess_ms=0.011,
        memory_mb=Memory(baseline=31.2, arena=1.9, rss_anon=21.0, rss_file=30.1, rss_peak=peak),
        accuracy=None if top1 is None else Accuracy(data="flowers/", n=PHOTOS, top1=top1),
        machine={
            "arch": "x86_64",
            "cpu": "AMD EPYC 7763 64-Core Processor",
            "board": None,
            "cores": 2,
            "os": "Debian GNU/Linux 12 (bookworm), kernel 6.1.0",
            "python": "3.11.7",
            "numpy": "2.4.6",
            "governor": None,
            "load": 0.31,
            "others_share": 0.012,
            "steal_share": 0.0,
            "waiting_share": 0.001,
            "clock_mhz": 2445.4,
            "clock_mhz_end": 2445.4,
            "temperature_c": None,
            "throttled": [],
        },
        protocol={"seconds": 3.0, "runs": 64, "warmup_seconds": 0.5, "warmup_runs": 10},
        valid=not reasons,
        invalid_reasons=reasons,
        when="2026-03-14T15:09:26+00:00",
    )


def artifact(name: str, size: int, top1: float, agreement: float) -> ArtifactRow:
    scheme, suffix = name.rpartition("-")[2].split(".")
    return schema.decode(
        ArtifactRow,
        {
            "path": f"out/{name}",
            "format": suffix,
            "scheme": scheme,
            "io": "uint8" if scheme == "int8" else "float32",
            "bytes": size,
            "sha256": sha_of(name),
            "seconds": 3.4,
            "n": 366,
            "split": "val",
            "top1": top1,
            "float_top1": 0.8182,
            "agreement_pct": agreement,
            "calibration": {"n": 200, "seed": 0, "hash": "ab12"} if scheme == "int8" else None,
            "warnings": [],
        },
        where=name,
    )


def thumbnail(colour: tuple[int, int, int]) -> str:
    pixels = np.zeros((96, 96, 3), np.uint8)
    ys, xs = np.mgrid[:96, :96]
    glow = np.exp(-((xs - 48) ** 2 + (ys - 44) ** 2) / 900)[..., None]
    pixels[:] = (np.array((52, 84, 50)) * (1 - glow) + np.array(colour) * glow).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=80)
    return base64.b64encode(buffer.getvalue()).decode()


def flip(index: int) -> Flip:
    colours = ((230, 225, 210), (240, 200, 40), (190, 40, 70), (235, 170, 30), (200, 80, 150))
    true, other = index % 5, (index + 1 + index % 3) % 5
    right_before = index % 3 != 1
    return Flip(
        image=f"{CLASSES[true]}/photo-{index:04}.jpg",
        label=CLASSES[true],
        reference=CLASSES[true if right_before else other],
        answer=CLASSES[other if right_before else true],
        reference_probability=0.44 + 0.011 * index,
        answer_probability=0.61 - 0.013 * index,
        thumbnail=thumbnail(colours[true]) if index % 7 else None,
    )


def parity() -> Parity:
    rows = []
    for name, _, top1, agreement, _, _ in FILES:
        changed = round(PHOTOS * (100 - agreement) / 100)
        rows.append(
            ParityRow(
                path=f"out/{name}",
                sha256=sha_of(name),
                n=PHOTOS,
                top1=top1,
                agreement_pct=agreement,
                top1_drop_points=100 * (0.8182 - top1),
                max_abs_diff=0.21 if changed else 3e-6,
                mean_kl=0.003 if changed else 1e-9,
                flips=tuple(flip(i) for i in range(changed)),
                checks=(
                    Check(name="sums to one", passed=True, detail="within 0.004"),
                    Check(name="no NaN", passed=True, detail="none"),
                    Check(name="several classes", passed=True, detail="5 answered"),
                ),
            )
        )
    names = [f"out/{file[0]}" for file in FILES]
    pairs = tuple(
        Pair(a=a, b=b, agreement_pct=97.0 + i)
        for i, (a, b) in enumerate(itertools.pairwise(names[:3]))
    )
    return Parity(reference="run", data="flowers/", rows=tuple(rows), pairs=pairs, passed=True)


def confusion_of(size: int) -> tuple[tuple[int, ...], ...]:
    random = np.random.default_rng(4)
    counts = random.integers(0, 12, (size, size)) + np.diag(random.integers(90, 140, size))
    return tuple(tuple(int(n) for n in row) for row in counts)


def scores(classes: tuple[str, ...] = CLASSES, split: str = "test") -> Scores:
    confusion = confusion_of(len(classes))
    n = sum(map(sum, confusion))
    right = [row[i] / sum(row) for i, row in enumerate(confusion)]
    return Scores(
        split=split,
        n=n,
        top1=sum(confusion[i][i] for i in range(len(classes))) / n,
        top5=1.0,
        macro_recall=sum(right) / len(right),
        loss=0.51,
        per_class=tuple(
            ClassScore(name=name, n=sum(row), recall=r, precision=max(0.0, r - 0.03))
            for name, row, r in zip(classes, confusion, right, strict=True)
        ),
        confusion=confusion,
    )


def card(classes: tuple[str, ...] = CLASSES) -> Card:
    history = [
        Epoch(
            phase="head" if i < 8 else "tune",
            epoch=i if i < 8 else i - 8,
            learning_rate=1e-3,
            loss=0.5 + 1.0 * 0.75**i,
            top1=0.84 - 0.4 * 0.7**i,
            val_loss=0.62 + 0.8 * 0.72**i,
            val_top1=0.81 - 0.3 * 0.68**i,
        )
        for i in range(20)
    ]
    return Card(
        name="flowers",
        task="classify",
        classes=classes,
        arch="efficientnet_lite0",
        alpha=1.0,
        preprocessing=Preprocessing(height=128, width=128),
        normalization=same_for_all(1 / 128, -127 / 128),
        weights="imagenet",
        params=3_377_413,
        macs=126_000_000,
        recipe={"head_epochs": 8},
        data=DataManifest(
            source="/photos/flowers",
            fingerprint="f0",
            seed=0,
            split=(60, 10, 30),
            n_train=2196,
            n_val=366,
            n_test=1098,
            per_class=(732,) * len(classes),
        ),
        phases=(
            Phase(name="head", epochs=8, seconds=21.0, images_per_second=2440, val_top1=0.751),
            Phase(name="tune", epochs=12, seconds=203.0, images_per_second=79, val_top1=0.8082),
        ),
        history=tuple(history),
        scores=(scores(classes, "val"), scores(classes, "test")),
        seconds=241.0,
        peak_rss_mb=1840.0,
        model_sha256="c0ffee",
        versions={"keras": "3.15.1"},
    )


def layer(label: str, noise: float, **changes: object) -> LayerNoise:
    row = LayerNoise(
        name=f"net/{label}_1/convolution",
        label=label,
        operation="CONV_2D",
        precision="int8",
        macs=1_000_000,
        low=0.0,
        high=6.0,
        seen_low=0.0,
        seen_high=5.9,
        saturated=0.0,
        sqnr_db=30.5,
        sqnr_alone_db=41.0,
        noise=noise,
        flips=1,
        weight_spread=12.0,
    )
    return dataclasses.replace(row, **changes)  # type: ignore[arg-type]


def network(*noises: float, flips: int = 14, relief: Relief | None = None) -> Noise:
    return Noise(
        file="flowers-int8.tflite",
        data="flowers, test",
        n=759,
        n_alone=64,
        noise=sum(noises),
        flips=flips,
        layers=tuple(layer(f"block{i}", noise) for i, noise in enumerate(noises)),
        relief=relief,
    )
