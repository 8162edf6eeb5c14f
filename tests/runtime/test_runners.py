from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecnn.core import image as images
from edgecnn.core.artifact import FileMetadata
from edgecnn.core.errors import InputError, MissingExtra
from edgecnn.runtime import embed, load, runners

pytest.importorskip("ai_edge_litert")


@pytest.fixture(scope="module")
def batch() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)


def test_a_foreign_file_names_the_animal_on_the_photo(mobilenet: Path) -> None:
    model = load(mobilenet, labels=mobilenet.parent / "imagenet_labels.txt")
    answer = model.predict(mobilenet.parent / "cat.jpg")
    assert any("cat" in prediction.label.split() for prediction in answer.top(5))
    # 1,001 probabilities in steps of 1/256: the many small ones round to zero.
    assert 0.8 < answer.scores.sum() < 1.2
    assert min(answer.timing_ms.preprocess, answer.timing_ms.inference) > 0


def test_a_foreign_file_without_labels_answers_by_number(mobilenet: Path) -> None:
    model = load(mobilenet)
    assert model.classes == ()
    assert model.metadata is None
    assert model.predict(str(mobilenet.parent / "cat.jpg")).top(1)[0].label.isdecimal()


def test_a_camera_frame_is_answered_as_the_photo_is(mobilenet: Path) -> None:
    model = load(mobilenet)
    photo = mobilenet.parent / "cat.jpg"
    with Image.open(photo) as opened:
        frame = np.asarray(opened.convert("RGB"))
    by_path, by_array = model.predict(photo), model.predict(frame)
    assert by_path.top(1)[0].index == by_array.top(1)[0].index
    assert np.abs(by_path.scores - by_array.scores).max() < 0.05


def test_a_file_of_ours_needs_nothing_but_itself(own_files: Path) -> None:
    model = load(own_files / "tiny-int8.tflite")
    assert model.metadata is not None
    assert model.classes == ("ape", "bee", "cat", "dog")
    assert model.preprocessing.resize == "squash"
    assert (model.runtime, model.runtime_version.split(".")[0]) == ("litert", "2")


def test_float_and_integer_files_and_both_runtimes_agree(
    own_files: Path, batch: np.ndarray
) -> None:
    pytest.importorskip("onnxruntime")
    by_float = load(own_files / "tiny-float32.tflite").run(batch)
    by_onnx = load(own_files / "tiny-float32.onnx").run(batch)
    by_integer = load(own_files / "tiny-int8.tflite").run(batch)
    assert by_float.shape == by_onnx.shape == by_integer.shape == (6, 4)
    assert by_float.dtype == by_onnx.dtype == by_integer.dtype == np.float32
    assert np.abs(by_float - by_onnx).max() < 1e-5
    assert np.abs(by_float - by_integer).max() < 0.1


def test_a_batch_is_answered_image_by_image_in_order(own_files: Path, batch: np.ndarray) -> None:
    model = load(own_files / "tiny-float32.tflite")
    one_by_one = np.concatenate([model.run(batch[i : i + 1]) for i in range(len(batch))])
    assert np.array_equal(model.run(batch), one_by_one)
    assert model.run(batch[:0]).shape == (0, 4)


def test_more_threads_give_the_same_answer(own_files: Path, batch: np.ndarray) -> None:
    for name in ("tiny-float32.tflite", "tiny-float32.onnx"):
        one, two = load(own_files / name, threads=1), load(own_files / name, threads=2)
        assert np.allclose(one.run(batch), two.run(batch), atol=1e-6)


def test_a_normalization_can_be_given_for_a_foreign_file(
    tiny_files: Path, batch: np.ndarray
) -> None:
    path = tiny_files / "tiny-float32.tflite"
    negative = load(path, normalization=(-1.0, 255.0))
    assert np.allclose(negative.run(batch), load(path).run(255 - batch), atol=1e-6)


def test_labels_must_be_as_many_as_outputs(mobilenet: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("cat\ndog\n")
    with pytest.raises(InputError, match="2 names for a model of 1001 outputs"):
        load(mobilenet, labels=labels)


def test_given_labels_replace_the_files_own(own_files: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("a\nb\nc\nd\n")
    assert load(own_files / "tiny-int8.tflite", labels=labels).classes == ("a", "b", "c", "d")


def test_pixels_of_another_shape_are_refused(own_files: Path) -> None:
    model = load(own_files / "tiny-int8.tflite")
    for wrong in (np.zeros((1, 31, 32, 3), np.uint8), np.zeros((1, 32, 32, 3), np.float32)):
        with pytest.raises(InputError, match=r"prepare \[N, 32, 32, 3\] uint8"):
            model.run(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("runtime", "what"),
    [("litrt", "try litert"), ("onnxruntime", "use --runtime litert or tflite-runtime")],
)
def test_a_runtime_that_cannot_read_the_file_is_refused(
    mobilenet: Path, runtime: str, what: str
) -> None:
    with pytest.raises(InputError, match=what):
        load(mobilenet, runtime=runtime)


def test_no_thread_at_all_is_refused(mobilenet: Path) -> None:
    with pytest.raises(InputError, match="0 threads"):
        load(mobilenet, threads=0)


def test_a_missing_runtime_names_its_extra(mobilenet: Path) -> None:
    with pytest.raises(MissingExtra, match=r"pip install 'edgecnn\[tflite-runtime\]'"):
        load(mobilenet, runtime="tflite-runtime")


def test_a_missing_onnxruntime_names_its_extra(
    tiny_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match=r"pip install 'edgecnn\[onnx\]'"):
        load(tiny_files / "tiny-float32.onnx")


def test_the_older_runtime_stands_in_where_only_it_is_installed(
    mobilenet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runners, "_installed", lambda package: package == "tflite_runtime")
    assert runners.choose_runtime(mobilenet) == "tflite-runtime"


def test_a_model_that_the_runtime_refuses_is_said_in_one_line(
    tiny_files: Path, tmp_path: Path
) -> None:
    path = tmp_path / "cut.onnx"
    data = (tiny_files / "tiny-float32.onnx").read_bytes()
    path.write_bytes(data.replace(b"Softmax", b"Softmix"))
    with pytest.raises(InputError, match="a model that ONNX Runtime refuses") as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_a_description_with_too_few_classes_is_refused(
    tiny_files: Path, tmp_path: Path, description: Callable[..., FileMetadata]
) -> None:
    path = tmp_path / "few.tflite"
    data = (tiny_files / "tiny-int8.tflite").read_bytes()
    path.write_bytes(embed(data, description("tflite", "uint8", classes=("cat",))))
    with pytest.raises(InputError, match="1 names for a model of 4 outputs"):
        load(path)


def test_opening_a_file_prints_nothing(mobilenet: Path) -> None:
    code = "import sys; from edgecnn.runtime import load; load(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, mobilenet], capture_output=True, check=True)
    assert done.stdout + done.stderr == b""


def test_the_room_starts_without_pillow_and_without_any_runtime() -> None:
    code = (
        "import sys, edgecnn.runtime;"
        "print([m for m in ('PIL', 'rich', 'onnx', 'onnxruntime', 'ai_edge_litert', 'tensorflow')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"


def test_preparing_by_hand_equals_predicting(mobilenet: Path) -> None:
    model = load(mobilenet)
    photo = mobilenet.parent / "cat.jpg"
    by_hand = model.run(images.load(photo, model.preprocessing)[None])[0]
    assert np.array_equal(by_hand, model.predict(photo).scores)
