"""Whatever is wrong: one line, exit 2, nothing lost, nothing half-written."""

import os
import shutil
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgecnn import cli

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]

Refused = Callable[..., str]


@pytest.fixture
def refused(capfd: pytest.CaptureFixture[str]) -> Refused:
    """Run a command line that must be refused; return its one line."""

    def run(*words: str | Path, code: int = 2) -> str:
        capfd.readouterr()
        assert cli.main(list(map(str, words))) == code
        _, err = capfd.readouterr()
        assert err.startswith("error: ")
        assert err.count("\n") == 1, err
        assert "fault of edgecnn" not in err
        return err

    return run


def few(photos: Path, target: Path, count: int, *classes: str) -> Path:
    """Copy a few photos of some classes."""
    for name in classes:
        (target / name).mkdir(parents=True)
        for photo in sorted((photos / name).iterdir())[:count]:
            shutil.copy(photo, target / name)
    return target


def bomb(path: Path) -> Path:
    """Write a PNG of a few hundred bytes that says it is 20,000 x 20,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def test_folders_that_nothing_can_be_learned_from(
    photo_folder: Path, tmp_path: Path, refused: Refused
) -> None:
    (tmp_path / "empty").mkdir()
    one = few(photo_folder, tmp_path / "one", 9, "red")
    scarce = few(photo_folder, tmp_path / "scarce", 2, "red", "blue")
    hollow = few(photo_folder, tmp_path / "hollow", 9, "red", "blue")
    (hollow / "green").mkdir()
    for data in (tmp_path / "absent", tmp_path / "empty", one, scarce, hollow):
        line = refused("train", data, "--out", tmp_path / "run", "--weights", "none")
        assert str(data) in line
        assert not (tmp_path / "run").exists()
    assert not list(tmp_path.glob(".run*"))


def test_a_folder_of_damaged_photos(photo_folder: Path, tmp_path: Path, refused: Refused) -> None:
    photos = few(photo_folder, tmp_path / "photos", 10, "red", "blue")
    for photo in sorted((photos / "red").iterdir())[:5]:
        photo.write_bytes(photo.read_bytes()[:100])
    words = ["--arch", "ds_cnn", "--weights", "none", "--size", "32", "--tune-epochs", "1"]
    assert "red" in refused("train", photos, "--out", tmp_path / "run", *words, "--quiet")
    assert not (tmp_path / "run").exists()


def test_photos_that_are_none(line: Any, tmp_path: Path, refused: Refused) -> None:
    good = (line.photos / "red" / "00.jpg").read_bytes()
    (tmp_path / "zero.jpg").touch()
    (tmp_path / "text.jpg").write_text("no photo")
    (tmp_path / "cut.jpg").write_bytes(good[: len(good) // 2])
    bomb(tmp_path / "bomb.png")
    for name in ("zero.jpg", "text.jpg", "cut.jpg", "bomb.png", "absent.jpg", "."):
        assert str(tmp_path / name) in refused("predict", line.int8, tmp_path / name)


@pytest.mark.parametrize("which", ["int8", "onnx"])
def test_files_that_are_damaged_or_of_another_kind(
    which: str, line: Any, tmp_path: Path, refused: Refused
) -> None:
    good: Path = getattr(line, which)
    content = good.read_bytes()
    flipped = bytearray(content)
    for at in range(64, len(content), len(content) // 40):
        flipped[at] ^= 0x10
    damaged = {
        "empty": b"",
        "cut": content[: len(content) // 2],
        "flipped": bytes(flipped),
        "text": b"not a model at all\n" * 50,
        "photo": (line.photos / "red" / "00.jpg").read_bytes(),
    }
    photo = line.photos / "red" / "00.jpg"
    for name, data in damaged.items():
        path = tmp_path / f"{name}{good.suffix}"
        path.write_bytes(data)
        assert str(path) in refused("predict", path, photo)
        assert str(path) in refused("bench", path, "--runs", "3")
        assert str(path) in refused("evaluate", path, "--data", line.photos)
        assert str(path) in refused("verify", path, good, "--data", line.photos)
        assert str(path) in refused("inspect", path)


def test_checkpoints_that_are_damaged(line: Any, tmp_path: Path, refused: Refused) -> None:
    def copy(name: str) -> Path:
        return Path(shutil.copytree(line.run, tmp_path / name))

    (copy("no_card") / "card.json").unlink()
    (copy("no_model") / "model.keras").unlink()
    edited = copy("edited") / "card.json"
    edited.write_text(edited.read_text().replace('"green"', '"grey"', 1))
    flipped = copy("flipped") / "model.keras"
    flipped.write_bytes(flipped.read_bytes()[:-200])
    for name in ("no_card", "no_model", "edited", "flipped", "absent"):
        path = tmp_path / name
        out = tmp_path / "out"
        assert name in refused("export", path, "--out", out)
        assert name in refused("evaluate", path, "--data", line.photos)
        assert name in refused("predict", path, line.photos / "red" / "00.jpg")
        assert name in refused("verify", line.int8, "--against", path, "--data", line.photos)
        assert not out.exists()


def test_results_are_never_replaced_unasked(line: Any, refused: Refused) -> None:
    before = {path: path.stat().st_mtime_ns for path in line.run.parent.rglob("*")}
    photos = line.photos
    assert "--force" in refused("train", photos, "--out", line.run, "--weights", "none")
    assert "--force" in refused("export", line.run, "--out", line.out)
    assert "--force" in refused(
        *("verify", line.int8, "--against", line.run, "--data", photos),
        *("--out", line.run.parent / "parity"),
    )
    assert "--force" in refused("report", line.results, "--out", line.report)
    assert "--force" in refused("demo", "--out", line.out)
    after = {path: path.stat().st_mtime_ns for path in line.run.parent.rglob("*")}
    assert after == before


def test_places_that_cannot_be_written(line: Any, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "file").touch()
    below = tmp_path / "file" / "below"
    assert str(below) in refused("report", line.results, "--out", below)
    assert str(tmp_path / "file") in refused("export", line.run, "--out", below)
    assert str(tmp_path / "file") in refused("demo", "--out", tmp_path / "file")


def test_a_full_disk_leaves_nothing_behind(line: Any, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    words = f"{sys.executable} -m edgecnn report {line.results} --out {out}"
    # A limit of 4 kB a file stands for a disk that is full; coverage's own file would meet it too.
    env = {key: value for key, value in os.environ.items() if not key.startswith("COVERAGE")}
    done = subprocess.run(
        ["sh", "-c", f"ulimit -f 8; exec {words}"],
        capture_output=True,
        text=True,
        check=False,
        env=env,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: cannot write")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "near"),
    [
        ("train digits --out x --arch mobilnet_v2", "mobilenet_v2"),
        ("train digits --out x --recipe flower", "flowers"),
        ("train digits --out x --augment stronk", "strong"),
        ("train digit --out x", "digits"),
        ("export RUN --out x --int9", "--int8"),
        ("export RUN --out x --format tflight", "tflite"),
        ("bench INT8 --runtime litertt", "litert"),
        ("bench INT8 --target cpuu", "cpu"),
        ("zoo show mobilenet", "mobilenet_v2"),
        ("zoo pull mobilenet_v22 --out x", "mobilenet_v2"),
        ("zoo pul mobilenet_v2 --out x", "pull"),
        ("exprot RUN --out x", "export"),
    ],
)
def test_an_unknown_name_offers_the_nearest(
    words: str,
    near: str,
    line: Any,
    refused: Refused,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    places = {"RUN": str(line.run), "INT8": str(line.int8)}
    said = refused(*[places.get(word, word) for word in words.split()])
    assert near in said.rpartition(":")[2]
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_class_offers_the_nearest(line: Any, tmp_path: Path, refused: Refused) -> None:
    photos = few(line.photos, tmp_path / "photos", 3, "blue", "red", "green")
    (photos / "green").rename(photos / "greem")
    said = refused("evaluate", line.int8, "--data", photos)
    assert "greem" in said
    assert "green" in said.rpartition(":")[2]


@pytest.mark.parametrize(
    "words",
    [
        "train digits --out x --task detect",
        "train digits --out x --split 10/20",
        "train digits --out x --head-epochs -1",
        "train digits --out x --weights absent.h5",
        "train digits --out x --recipe absent.toml",
        "export RUN --out x --int16x8 --format onnx",
        "export RUN --out x --int8 --onnx-form flat",
        "export RUN --out x --int8 --calibration absent",
        "export RUN --out x --dynamic --format onnx",
        "bench INT8 --target gpu",
        "bench INT8 --threads 0",
        "bench INT8 --seconds nan",
        "bench INT8 --python absent",
        "bench INT8 --runtime onnxruntime",
        "bench absent.tflite",
        "verify INT8 --data digits",
        "evaluate INT8 --data absent",
        "report absent --out x",
        "inspect absent.tflite",
        "predict INT8 PHOTO --labels absent.txt",
        "zoo show",
        "zoo pull lenet5 --out x",
        "zoo pull mobilenet_v2",
        "zoo list mobilenet_v2",
    ],
)
def test_what_cannot_be_done_is_refused(
    words: str, line: Any, refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    places = {"RUN": line.run, "INT8": line.int8, "PHOTO": line.photos / "red" / "00.jpg"}
    refused(*[places.get(word, word) for word in words.split()])
    assert list(tmp_path.iterdir()) == []


def test_weights_that_want_to_run_something(tmp_path: Path, refused: Refused) -> None:
    program = b"\x80\x02cos\nsystem\nX\x0c\x00\x00\x00touch owned!\x85R."
    with zipfile.ZipFile(tmp_path / "evil.pth", "w") as archive:
        archive.writestr("net/data.pkl", program)
    arguments = ("--arch", "mobilenet_v2", "--weights", tmp_path / "evil.pth")
    said = refused("train", "digits", "--out", tmp_path / "run", *arguments)
    assert "(os.system is not admitted) in " in said
    assert {path.name for path in tmp_path.iterdir()} == {"evil.pth"}


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors", "weights.h5"])
def test_weights_of_a_wrong_kind(name: str, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / name).write_text("no weights at all")
    arguments = ("--arch", "mobilenet_v2", "--weights", tmp_path / name)
    said = refused("train", "digits", "--out", tmp_path / "run", *arguments)
    assert f"no weights of a kind that is known in {tmp_path / name}: use .h5" in said
    assert [path.name for path in tmp_path.iterdir()] == [name]
