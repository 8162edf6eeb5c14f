"""Stopped politely or not: what was there stays, and the same command goes on."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]

OPTIONS = "--arch ds_cnn --weights none --size 32 --batch 8 --augment none --tune-epochs 40"


def command(photos: Path, *more: str) -> list[str]:
    words = ["train", str(photos), *OPTIONS.split(), "--out", "run", "--json", *more]
    return [sys.executable, "-m", "edgecnn", *words]


@pytest.mark.parametrize(
    "how", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.uncounted)]
)
def test_a_stopped_training_is_resumed(
    how: signal.Signals, photo_folder: Path, tmp_path: Path
) -> None:
    with subprocess.Popen(
        command(photo_folder), cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        give_up = time.monotonic() + 120
        while not list(tmp_path.glob(".run.work/*.npz")) and time.monotonic() < give_up:
            time.sleep(0.02)
        child.send_signal(how)
        _, said = child.communicate(timeout=60)
    assert not (tmp_path / "run").exists(), "the run was over before it could be stopped"
    if how == signal.SIGINT:
        assert child.returncode == 3
        assert said.startswith(b"interrupted: ")
        assert b"--resume" in said
        assert said.count(b"\n") == 1
    done = subprocess.run(
        command(photo_folder, "--resume"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["n_train"] == 45
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
