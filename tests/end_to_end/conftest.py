"""One small whole line on photos, by the command line alone; the tests look at what it left."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@dataclasses.dataclass(frozen=True)
class Line:
    """Where each step wrote, and what each printed with ``--json``."""

    photos: Path
    run: Path
    out: Path
    results: Path
    report: Path
    printed: dict[str, Any]

    @property
    def int8(self) -> Path:
        return self.out / "run-int8.tflite"

    @property
    def onnx(self) -> Path:
        return self.out / "run-int8.onnx"


def edgecnn(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line as a process of its own."""
    command = [sys.executable, "-m", "edgecnn", *words]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=cwd, timeout=300
    )


@pytest.fixture(scope="session")
def line(photo_folder: Path, once: Callable[..., Path]) -> Line:
    """Train, export, verify, bench and report on the three colours."""
    pytest.importorskip("tensorflow")
    folder = once("line", lambda folder: _go_all_the_way(str(photo_folder), folder))
    return Line(
        photos=photo_folder,
        run=folder / "run",
        out=folder / "out",
        results=folder / "results",
        report=folder / "report.html",
        printed=json.loads(folder.with_suffix(".printed").read_text()),
    )


def _go_all_the_way(photos: str, folder: Path) -> None:
    steps = {
        "train": f"train {photos} --out run --arch ds_cnn --weights none --size 32 --batch 8 "
        "--tune-epochs 40 --augment none",
        "export": "export run --float32 --int8 --format tflite,onnx --out out",
        "verify": f"verify out --against run --data {photos} --out parity",
        "bench": "bench out --runs 64 --out results",
        "report": "report run out results parity --out report.html",
    }
    printed = {}
    for name, words in steps.items():
        done = edgecnn(*words.split(), "--json", cwd=folder)
        assert done.returncode == 0, f"{name}: {done.stderr}"
        printed[name] = json.loads(done.stdout)
        assert done.stdout.count("\n") == 1
    folder.with_suffix(".printed").write_text(json.dumps(printed))
