"""Memory of whole training runs, predicted and measured, each run in a process of its own.

Targets: no prediction below the measured peak, none above one and a half times of it.

    python tools/training_memory.py
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from edgecnn import zoo  # isort: skip - first: it silences TensorFlow
import numpy as np
from PIL import Image

from edgecnn.training import make_recipe, memory

CLASSES, PHOTOS = ("first", "second"), 120
CASES: tuple[dict[str, Any], ...] = (
    {"arch": "ds_cnn", "size": 96, "batch": 32},
    {"arch": "tutorial_cnn", "size": 150, "batch": 8},
    {"arch": "tutorial_cnn", "size": 150, "batch": 32},
    {"arch": "vgg16", "size": 64, "batch": 16},
    {"arch": "resnet18", "size": 96, "batch": 64},
    {"arch": "mobilenet_v2", "size": 128, "batch": 32},
    {"arch": "mobilenet_v2", "size": 128, "batch": 32, "head_epochs": 1},
    {"arch": "efficientnet_lite0", "size": 160, "batch": 32, "head_epochs": 1},
)

TRAIN = """
import json, sys
from pathlib import Path
from edgecnn.training import make_recipe, train
trained = train(sys.argv[1], Path(sys.argv[2]), make_recipe(**json.loads(sys.argv[3])))
print(trained.card.peak_rss_mb)
"""


def main() -> int:
    """Train each case for one epoch; 1 when a prediction is off."""
    fine = True
    with tempfile.TemporaryDirectory() as folder:
        photos = _photos(Path(folder) / "photos")
        print(
            f"{'network':<20}{'size':>5}{'batch':>7}  {'phases':<9}{'predicted':>10}{'measured':>9}"
        )
        for number, case in enumerate(CASES):
            options = _options(case, Path(folder))
            predicted = _predicted(options)
            measured = _measured(options, photos, Path(folder) / f"run{number}")
            phases = "scratch" if options["weights"] == "none" else "two"
            print(
                f"{case['arch']:<20}{case['size']:>5}{case['batch']:>7}  {phases:<9}"
                f"{predicted:>7.0f} MB{measured:>6.0f} MB  {predicted / measured:.2f}"
            )
            fine &= 1.0 <= predicted / measured <= 1.5
    return 0 if fine else 1


def _photos(folder: Path) -> Path:
    random = np.random.default_rng(0)
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        for index in range(PHOTOS):
            blobs = random.integers(0, 256, (6, 6, 3), dtype=np.uint8)
            Image.fromarray(blobs).resize((170, 170)).save(folder / name / f"{index}.jpg")
    return folder


def _options(case: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return a recipe's options of one epoch; two phases start from random weights of a file."""
    if "head_epochs" not in case:
        return {**case, "weights": "none", "tune_epochs": 1}
    weights = folder / f"{case['arch']}.keras"
    zoo.save_model(_classifier(case), weights)
    return {**case, "weights": str(weights), "tune_epochs": 1}


def _classifier(case: dict[str, Any]) -> Any:
    shape = (case["size"], case["size"], 3)
    return zoo.attach_head(zoo.build(case["arch"], shape=shape), len(CLASSES))


def _predicted(options: dict[str, Any]) -> float:
    needs = memory.predict(_classifier(options), make_recipe(**options))
    return needs.total(options["batch"]) / 1e6


def _measured(options: dict[str, Any], photos: Path, out: Path) -> float:
    command = [sys.executable, "-c", TRAIN, str(photos), str(out), json.dumps(options)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    sys.exit(main())
