"""How long a network takes to build: ours and keras.applications', side by side.

Both make the whole 1,000-class classifier with random weights, at the network's own size
unless --size says another, in one process and in turns; the medians are compared.

Run: python tools/build_time.py [--rounds 7] [--size 224] [NAME ...]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import edgecnn
from edgecnn import zoo  # before keras: it silences TensorFlow's greeting

import keras  # isort: skip

_V3 = {"include_preprocessing": False}
PEERS: dict[str, Callable[..., Any]] = {
    "efficientnet_b0": keras.applications.EfficientNetB0,
    "inception_v3": keras.applications.InceptionV3,
    "mobilenet_v1": keras.applications.MobileNet,
    "mobilenet_v2": keras.applications.MobileNetV2,
    "mobilenet_v3_large": partial(keras.applications.MobileNetV3Large, **_V3),
    "mobilenet_v3_large_minimalistic": partial(
        keras.applications.MobileNetV3Large, minimalistic=True, **_V3
    ),
    "mobilenet_v3_small": partial(keras.applications.MobileNetV3Small, **_V3),
    "mobilenet_v3_small_minimalistic": partial(
        keras.applications.MobileNetV3Small, minimalistic=True, **_V3
    ),
    "resnet50": keras.applications.ResNet50,
    "resnet101": keras.applications.ResNet101,
    "resnet152": keras.applications.ResNet152,
    "vgg16": keras.applications.VGG16,
    "vgg19": keras.applications.VGG19,
    "xception": keras.applications.Xception,
}


def seconds(make: Callable[[], Any]) -> float:
    """Time one build in an empty session."""
    keras.backend.clear_session()
    start = time.perf_counter()
    make()
    return time.perf_counter() - start


def compare(name: str, size: int | None, rounds: int) -> tuple[float, float, float]:
    """Return our median seconds, theirs, and the median of the rounds' ratios."""
    side = size or zoo.find(name).default_size

    def ours() -> Any:
        return edgecnn.build(name, classes=1000, size=side)

    def theirs() -> Any:
        return PEERS[name](weights=None, input_shape=(side, side, 3))

    pairs = []
    for turn in range(-1, rounds):
        # The order alternates, and the first round only warms up.
        order = (ours, theirs) if turn % 2 else (theirs, ours)
        took = {make: seconds(make) for make in order}
        if turn >= 0:
            pairs.append((took[ours], took[theirs]))
    mine, other = (statistics.median(column) for column in zip(*pairs, strict=True))
    return mine, other, statistics.median(a / b for a, b in pairs)


def main(arguments: list[str]) -> int:
    """Print one row a network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of those with a peer")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--size", type=int)
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(PEERS):
        parser.error(f"no peer for {', '.join(sorted(unknown))}")
    print("| architecture | ours, s | keras.applications, s | ratio |\n|---|---|---|---|")
    for name in options.names or PEERS:
        mine, other, ratio = compare(name, options.size, options.rounds)
        print(f"| {name} | {mine:.2f} | {other:.2f} | {ratio:.2f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
