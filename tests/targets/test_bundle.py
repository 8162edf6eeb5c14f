from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgecnn.core import schema
from edgecnn.core.errors import InputError
from edgecnn.core.measurement import Measurement
from edgecnn.runtime.isolated import IsolatedModel
from edgecnn.targets import bundle
from edgecnn.targets.board import find

SITE = Path(sysconfig.get_path("purelib"))
# A board has these and nothing of ours; their libraries and versions lie beside them.
ON_THE_BOARD = ("numpy*", "ai_edge_litert*", "onnxruntime*", "flatbuffers*", "PIL", "pillow*")


@pytest.fixture(scope="session")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has numpy, pillow and the runtimes, and no edgecnn."""
    folder = tmp_path_factory.mktemp("board")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for pattern in ON_THE_BOARD:
        for package in SITE.glob(pattern):
            (folder / "lib" / version / "site-packages" / package.name).symlink_to(package)
    python = folder / "bin" / "python"
    looked = subprocess.run(
        [python, "-I", "-c", "import edgecnn"], capture_output=True, text=True, check=False
    )
    assert "No module named 'edgecnn'" in looked.stderr
    return python


@pytest.fixture(scope="session")
def small(exported: Any) -> dict[str, Path]:
    """An int8 file of ours in each format."""
    return {a.metadata.format: a.path for a in exported if a.metadata.scheme == "int8"}


@pytest.fixture(scope="session")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo that needs all of the preparation: not square, turned by EXIF, JPEG."""
    random = np.random.default_rng(4)
    rough = random.integers(0, 256, (6, 9, 3), dtype=np.uint8)
    image = Image.fromarray(rough).resize((301, 203), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path_factory.mktemp("photo") / "a photo.jpg"
    image.save(path, exif=exif)
    return path


@pytest.fixture
def unpacked(small: dict[str, Path], tmp_path: Path) -> Path:
    """The TFLite file's bundle, unpacked elsewhere."""
    return elsewhere(small["tflite"], tmp_path)


def elsewhere(path: Path, folder: Path) -> Path:
    made = bundle.write(path, find("this"), folder / "a bundle")
    with tarfile.open(made.archive) as archive:
        archive.extractall(folder / "the board", filter="data")
    shutil.rmtree(made.folder)
    return folder / "the board" / "a bundle"


def run(board: Path, folder: Path, *words: object, **options: Any) -> Any:
    command = [board, "-I", folder / "run.py", *map(str, words)]
    return subprocess.run(command, capture_output=True, check=False, cwd="/", **options)


@pytest.mark.tensorflow
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tflite", "onnx"])
def test_the_board_answers_as_we_do_to_the_last_bit(
    small: dict[str, Path], board: Path, photo: Path, tmp_path: Path, kind: str
) -> None:
    folder = elsewhere(small[kind], tmp_path)
    frame = np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    np.save(tmp_path / "frame.npy", frame)
    done = run(board, folder, "predict", "--json", "--top", 10, photo, tmp_path / "frame.npy")
    rows = json.loads(done.stdout)["predictions"]
    with IsolatedModel(small[kind]) as model:
        answers = [model.predict(photo), model.predict(frame)]
    for row, answer in zip(rows, answers, strict=True):
        ours = [(b.label, b.index, b.probability) for b in answer.top(10)]
        assert [(b["class"], b["index"], b["probability"]) for b in row["top"]] == ours
        assert set(row["timing_ms"]) == {"preprocess", "inference", "postprocess"}


@pytest.mark.tensorflow
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tflite", "onnx"])
def test_the_board_measures_as_we_do(
    small: dict[str, Path], board: Path, tmp_path: Path, kind: str
) -> None:
    folder = elsewhere(small[kind], tmp_path)
    words = ("bench", "--json", "--runs", 64, "--seconds", 0.05, "--out", tmp_path / "results")
    done = run(board, folder, *words)
    (told,) = json.loads(done.stdout)["measurements"]
    (kept,) = (tmp_path / "results").iterdir()
    row = schema.loads(Measurement, kept.read_text(), where=kept)
    assert schema.encode(row) | told == schema.encode(row)
    assert (row.model, row.target, row.scheme) == (small[kind].name, "this", "int8")
    assert row.latency_ms is not None
    assert row.latency_ms.runs >= 64
    assert row.memory_mb is not None
    assert (row.memory_mb.arena is not None) == (kind == "tflite")


@pytest.mark.tensorflow
@pytest.mark.slow
def test_raw_frames_come_through_a_pipe(unpacked: Path, board: Path) -> None:
    frames = np.random.default_rng(2).integers(0, 256, (3, 12, 20, 3), dtype=np.uint8)
    words = ("predict", "--json", "--raw", "20x12", "-")
    done = run(board, unpacked, *words, input=frames.tobytes())
    assert [row["image"] for row in json.loads(done.stdout)["predictions"]] == ["-#0", "-#1", "-#2"]
    cut = run(board, unpacked, *words, input=frames.tobytes()[:-1])
    assert cut.returncode == 2
    assert cut.stderr.decode().splitlines()[-1].startswith("error: 719 bytes that are no whole")


@pytest.mark.tensorflow
@pytest.mark.slow
def test_a_model_damaged_on_its_way_is_told(unpacked: Path, board: Path, photo: Path) -> None:
    (model,) = unpacked.glob("*.tflite")
    model.write_bytes(model.read_bytes()[:-100])
    done = run(board, unpacked, "predict", photo)
    assert done.returncode == 2
    assert done.stderr.decode().startswith("error: a model that was damaged on its way in ")
    assert done.stderr.decode().count("\n") == 1


@pytest.mark.tensorflow
@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("predict", "no-such.jpg"),
        ("predict", "/dev/null"),
        ("predict", "no-such.npy"),
        ("predict", "--raw", "0x4", "-"),
        ("predict", "--runtime", "openvino", "a.jpg"),
        ("bench", "--seconds", "nan"),
        ("bench", "--runs", "-1"),
    ],
)
def test_what_the_board_cannot_use_is_told_in_one_line(
    unpacked: Path, board: Path, words: tuple[str, ...]
) -> None:
    done = run(board, unpacked, *words)
    said = done.stderr.decode().splitlines()
    assert done.returncode == 2
    assert [line for line in said if not line.startswith("INFO")] == said[-1:]
    assert said[-1].startswith("error: ")


@pytest.mark.tensorflow
@pytest.mark.slow
def test_the_same_file_gives_the_same_archive(small: dict[str, Path], tmp_path: Path) -> None:
    device = find("pi4")
    first = bundle.write(small["tflite"], device, tmp_path / "a" / "bundle").archive.read_bytes()
    second = bundle.write(small["tflite"], device, tmp_path / "b" / "bundle").archive.read_bytes()
    assert first == second


@pytest.mark.tensorflow
@pytest.mark.slow
def test_the_bundle_has_what_it_says_and_nothing_else(unpacked: Path) -> None:
    assert {p.name for p in unpacked.iterdir()} == {
        *("README.md", "camera.py", "edgecnn.service", "install.sh", "model.json"),
        *("requirements.txt", "run.py", next(unpacked.glob("*.tflite")).name),
    }
    texts = [p.read_text() for p in unpacked.iterdir() if p.suffix != ".tflite"]
    assert not [text for text in texts if "@MACHINE@" in text or "@NAME@" in text]
    subprocess.run(["sh", "-n", unpacked / "install.sh"], check=True)
    compile((unpacked / "camera.py").read_text(), "camera.py", "exec")


@pytest.mark.tensorflow
@pytest.mark.slow
def test_nothing_is_replaced_unasked(small: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    bundle.write(small["tflite"], find("pi4"), out)
    with pytest.raises(InputError, match="--force"):
        bundle.write(small["tflite"], find("pi4"), out)
    bundle.write(small["onnx"], find("pi5"), out, force=True)
    assert not list(out.glob("*.tflite"))


@pytest.mark.tensorflow
@pytest.mark.slow
def test_a_folder_that_is_no_bundle_is_never_replaced(
    small: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"")
    with pytest.raises(InputError, match="no bundle"):
        bundle.write(small["tflite"], find("pi4"), tmp_path / "photos", force=True)
    assert (tmp_path / "photos" / "cat.jpg").exists()


@pytest.mark.tensorflow
@pytest.mark.slow
@pytest.mark.parametrize("content", [b"", b"\0\0\0\0TFL3", b"not a model", None])
def test_what_is_no_model_leaves_nothing(
    small: dict[str, Path], tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(small["tflite"].read_bytes()[:5000] if content is None else content)
    with pytest.raises(InputError):
        bundle.write(path, find("pi4"), tmp_path / "bundle")
    assert [p.name for p in tmp_path.iterdir()] == ["model.tflite"]


@pytest.mark.slow
def test_a_foreign_file_runs_with_its_labels(
    tiny_files: Path, board: Path, photo: Path, tmp_path: Path
) -> None:
    source = tmp_path / "run.py"  # a name that the runner has, too
    source.write_bytes((tiny_files / "tiny-int8.tflite").read_bytes())
    (tmp_path / "labels.txt").write_text("a\nb\nc\nd\n")
    made = bundle.write(source, find("this"), tmp_path / "bundle", labels=tmp_path / "labels.txt")
    done = run(board, made.folder, "predict", "--json", photo)
    (row,) = json.loads(done.stdout)["predictions"]
    with IsolatedModel(source, labels=tmp_path / "labels.txt") as model:
        ours = [(b.label, b.probability) for b in model.predict(photo).top(5)]
    assert [(b["class"], b["probability"]) for b in row["top"]] == ours


@pytest.mark.parametrize("out", [".", "..", "/"])
def test_a_folder_without_a_name_of_its_own_is_refused(tmp_path: Path, out: str) -> None:
    with pytest.raises(InputError, match="name a new folder"):
        bundle.write(tmp_path / "model.tflite", find("pi4"), Path(out), force=True)
