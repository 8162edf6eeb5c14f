"""The built wheel in fresh environments: bare, and with the old tflite-runtime."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.network]

ROOT = Path(__file__).parents[2]


def install(folder: Path, *packages: str) -> Path:
    """Make an environment with these packages and return its `bin`."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, capture_output=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", *packages]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no package index here: {done.stderr.strip()[-300:]}")
    return folder / "bin"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    unwanted = shutil.ignore_patterns(".*", "build", "dist", "demo", "__pycache__")
    shutil.copytree(ROOT, source, ignore=unwanted)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, source]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no build backend here: {done.stderr.strip()[-300:]}")
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="session")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("bare") / "env", str(wheel))


def run(binaries: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [binaries / "edgecnn", *words]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=binaries, timeout=60
    )


def test_a_bare_installation_has_no_framework(bare: Path) -> None:
    script = (
        "from importlib.util import find_spec; "
        "print([n for n in ('tensorflow', 'keras', 'onnx', 'onnxruntime', 'ai_edge_litert') "
        "if find_spec(n)])"
    )
    words = [bare / "python", "-c", script]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_bare_installation_helps(bare: Path) -> None:
    done = run(bare, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "predict" in done.stdout


def test_a_bare_installation_lists_the_zoo(bare: Path) -> None:
    done = run(bare, "zoo", "list", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    listed = json.loads(done.stdout)
    assert {"mobilenet_v2", "efficientnet_lite0"} <= {a["name"] for a in listed["architectures"]}
    assert listed["devices"]
    assert [recipe for recipe in listed["recipes"] if "measured" in recipe]


def test_a_bare_installation_inspects_tflite(bare: Path, tiny_files: Path) -> None:
    done = run(bare, "inspect", tiny_files / "tiny-int8.tflite", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["params"] > 100


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (["inspect", "tiny-float32.onnx"], "onnx"),
        (["predict", "tiny-float32.onnx", "photo.jpg"], "onnx"),
        (["predict", "tiny-int8.tflite", "photo.jpg"], "tflite"),
        (["bench", "tiny-int8.tflite"], "tflite"),
        (["train", "digits", "--out", "run"], "train"),
        (["demo", "--out", "demo"], "all"),
    ],
)
def test_what_is_missing_is_named_with_its_extra(
    words: list[str], extra: str, bare: Path, tiny_files: Path
) -> None:
    done = run(bare, *[tiny_files / w if w.startswith("tiny") else w for w in words])
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert f"pip install 'edgecnn[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="session")
def old_runtime(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if sys.version_info[:2] != (3, 11):
        pytest.skip("tflite-runtime 2.14 has no wheels for Python above 3.11")
    return install(tmp_path_factory.mktemp("old") / "env", f"{wheel}[tflite-runtime]")


def test_the_old_runtime_benchmarks_from_its_own_environment(
    old_runtime: Path, tiny_files: Path
) -> None:
    words = ["bench", tiny_files / "tiny-int8.tflite", "--runtime", "tflite-runtime"]
    words += ["--python", old_runtime / "python", "--runs", "64", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "edgecnn", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["measurements"]
    assert row["runtime"] == "tflite-runtime"
    assert row["runtime_version"].startswith("2.14")
    assert row["latency_ms"]["runs"] >= 64


def test_the_old_runtime_answers_as_the_new_one(
    old_runtime: Path, tiny_files: Path, photo_folder: Path
) -> None:
    words = ["predict", tiny_files / "tiny-int8.tflite", photo_folder / "red" / "00.jpg", "--json"]
    old = run(old_runtime, *words)
    new = run(Path(sys.executable).parent, *words)
    assert (old.returncode, new.returncode) == (0, 0), old.stderr + new.stderr
    answers = [json.loads(done.stdout)["predictions"][0]["top"] for done in (old, new)]
    for ours, theirs in zip(*answers, strict=True):
        assert abs(ours["probability"] - theirs["probability"]) <= 1 / 256
