from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgecnn.core.errors import InputError
from edgecnn.runtime import frames, load
from edgecnn.runtime.isolated import IsolatedModel

pytest.importorskip("ai_edge_litert")


def test_the_child_answers_as_this_process_does(own_files: Path) -> None:
    batch = np.random.default_rng(1).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    for name in ("tiny-int8.tflite", "tiny-float32.onnx"):
        here = load(own_files / name)
        with IsolatedModel(own_files / name) as there:
            assert np.array_equal(there.run(batch), here.run(batch))
            assert there.run(batch[:0]).shape == (0, 4)
            assert there.run(batch[::-1, ::-1]).shape == (5, 4)
            for fact in ("classes", "preprocessing", "metadata", "input", "output", "runtime"):
                assert getattr(there, fact) == getattr(here, fact)


def test_a_photo_goes_in_and_a_named_answer_comes_out(mobilenet: Path) -> None:
    labels = mobilenet.parent / "imagenet_labels.txt"
    with IsolatedModel(mobilenet, labels=labels, threads=2) as model:
        answer = model.predict(mobilenet.parent / "cat.jpg")
    assert any("cat" in prediction.label.split() for prediction in answer.top(5))
    assert answer.timing_ms.inference > 0


def test_a_crash_of_the_runtime_is_one_line(own_files: Path) -> None:
    with IsolatedModel(own_files / "tiny-int8.tflite") as model:
        os.kill(model._process.pid, signal.SIGSEGV)
        with pytest.raises(InputError, match=r"crashes its runtime \(ended by SIGSEGV\)") as caught:
            model.run(np.zeros((1, 32, 32, 3), np.uint8))
        assert "\n" not in str(caught.value)
        with pytest.raises(InputError, match="a model that was closed"):
            model.run(np.zeros((1, 32, 32, 3), np.uint8))


def test_what_the_child_refuses_is_refused_here(own_files: Path, tmp_path: Path) -> None:
    for name, what in (("none.tflite", "no such model file"), (".", "a folder")):
        with pytest.raises(InputError, match=what):
            IsolatedModel(tmp_path / name)
    cut = tmp_path / "cut.tflite"
    cut.write_bytes((own_files / "tiny-int8.tflite").read_bytes()[:3000])
    with pytest.raises(InputError, match=rf"a damaged TFLite model .* in {cut}"):
        IsolatedModel(cut)


def test_wrong_pixels_are_refused_in_one_line(own_files: Path) -> None:
    with (
        IsolatedModel(own_files / "tiny-int8.tflite") as model,
        pytest.raises(InputError, match=r"prepare \[N, 32, 32, 3\] uint8"),
    ):
        model.run(np.zeros((1, 8, 8, 3), np.uint8))


def test_a_python_that_is_not_there_is_said_in_one_line(own_files: Path) -> None:
    with pytest.raises(InputError, match="no Python"):
        IsolatedModel(own_files / "tiny-int8.tflite", python="/no/such/python")


def test_a_python_that_fails_gives_its_last_words(own_files: Path, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no numpy here >&2\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(InputError, match="no numpy here"):
        IsolatedModel(own_files / "tiny-int8.tflite", python=python)


def test_leaving_the_block_ends_the_child(own_files: Path) -> None:
    with IsolatedModel(own_files / "tiny-int8.tflite") as model:
        child = model._process
    assert child.returncode == 0
    model.close()


def test_a_forgotten_model_takes_its_child_along(own_files: Path) -> None:
    child = IsolatedModel(own_files / "tiny-int8.tflite")._process
    assert child.wait(timeout=5) is not None


def test_the_child_ends_when_its_parent_is_killed(own_files: Path) -> None:
    code = (
        "import sys, time; from edgecnn.runtime.isolated import IsolatedModel;"
        "model = IsolatedModel(sys.argv[1]); print(model._process.pid, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(own_files / "tiny-int8.tflite")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 10
    while _runs(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(child)


def _runs(process: int) -> bool:
    status = Path(f"/proc/{process}/stat")
    with contextlib.suppress(OSError):
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.mark.slow
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_damaged_file_runs_or_is_refused(
    tiny_files: Path, tmp_path: Path, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(["tiny-int8.tflite", "tiny-float32.onnx"]))
    damaged = bytearray((tiny_files / name).read_bytes())
    for place in data.draw(st.lists(st.integers(8, len(damaged) - 1), min_size=1, max_size=4)):
        damaged[place] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path / name
    path.write_bytes(damaged[: data.draw(st.sampled_from([None, None, len(damaged) // 2]))])
    try:
        with IsolatedModel(path) as model:
            scores = model.run(np.zeros((1, *model.preprocessing.shape), np.uint8))
    except InputError:
        return
    assert scores.shape[0] == 1


def test_a_frame_arrives_as_it_was_sent() -> None:
    read, write = os.pipe()
    frames.send(write, {"a": [1, "é"]}, b"body")
    assert frames.receive(read) == ({"a": [1, "é"]}, bytearray(b"body"))
    os.close(write)
    with pytest.raises(frames.Closed, match="the end"):
        frames.receive(read)
    os.close(read)


@pytest.mark.parametrize(
    "sent",
    [
        b"\xff" * 8,
        b"\x02\0\0\0\0\0\0\0[]",
        b"\x02\0\0\0\0\0\0\0no",
        b"\x02\0\0",
    ],
)
def test_nonsense_on_the_pipe_closes_it(sent: bytes) -> None:
    read, write = os.pipe()
    os.write(write, sent)
    os.close(write)
    with pytest.raises(frames.Closed):
        frames.receive(read)
    os.close(read)


def test_a_long_silence_closes_the_pipe() -> None:
    read, write = os.pipe()
    with pytest.raises(frames.Closed, match="silence"):
        frames.receive(read, timeout_s=0.01)
    for end in (read, write):
        os.close(end)
