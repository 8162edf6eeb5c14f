from __future__ import annotations

import numpy as np
import pytest

from edgecnn.core.errors import InputError

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]


def save(path, body):
    """Save a function of images, with a variable as its weights."""
    import tensorflow as tf

    module = tf.Module()
    module.weights = tf.Variable(tf.random.normal((3, 3, 3, 4), seed=1))

    def serve(image):
        scores = tf.reduce_mean(tf.nn.conv2d(image, module.weights, 1, "SAME"), (1, 2))
        return {"scores": body(scores)}

    module.serve = tf.function(
        serve, input_signature=[tf.TensorSpec((None, 8, 8, 3), tf.float32, "image")]
    )
    tf.saved_model.save(module, str(path), signatures=module.serve)
    return path


def load(path):
    from edgecnn.convert.saved_model import load as open_folder

    return open_folder(path)


def test_an_inference_function_is_found_with_its_sizes(tmp_path) -> None:
    import tensorflow as tf

    call, shape = load(save(tmp_path / "m", tf.nn.softmax))
    assert shape == (None, 8, 8, 3)
    assert np.isclose(np.sum(call(tf.ones((1, 8, 8, 3)))), 1)


def hostile():
    import tensorflow as tf

    def with_python(scores):
        return tf.py_function(lambda x: x, [scores], tf.float32)

    def with_reading(scores):
        return scores + tf.cast(tf.strings.length(tf.io.read_file("/etc/passwd")), tf.float32)

    def with_writing(scores):
        with tf.control_dependencies([tf.io.write_file("/tmp/never-written", "x")]):
            return tf.identity(scores)

    def within_a_condition(scores):
        return tf.cond(tf.reduce_sum(scores) > 0, lambda: with_reading(scores), lambda: scores)

    def with_printing(scores):
        with tf.control_dependencies([tf.print("x", output_stream="file:///tmp/never-written")]):
            return tf.identity(scores)

    return {
        "EagerPyFunc": with_python,
        "ReadFile": with_reading,
        "WriteFile": with_writing,
        "ReadFile ": within_a_condition,
        "PrintV2": with_printing,
    }


@pytest.mark.parametrize("name", ["EagerPyFunc", "ReadFile", "WriteFile", "ReadFile ", "PrintV2"])
def test_operations_that_reach_outside_are_refused_by_name(tmp_path, name) -> None:
    path = save(tmp_path / "m", hostile()[name])
    with pytest.raises(InputError, match=f"reach outside of the model: .*{name.strip()}"):
        load(path)


def test_a_table_that_reads_a_file_while_the_model_loads_is_refused(tmp_path) -> None:
    import tensorflow as tf

    words = tmp_path / "words.txt"
    words.write_text("a\nb\n")
    line, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
    table = tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(str(words), tf.string, line, tf.int64, number), -1
    )
    module = tf.Module()
    module.table = table
    module.serve = tf.function(
        lambda image: tf.reduce_mean(image, (1, 2)),
        input_signature=[tf.TensorSpec((None, 8, 8, 3), tf.float32)],
    )
    tf.saved_model.save(module, str(tmp_path / "m"), signatures=module.serve)
    with pytest.raises(InputError, match=r"outside of the model|while the model loads"):
        load(tmp_path / "m")


def test_damaged_folders_are_one_line_each(tmp_path) -> None:
    import tensorflow as tf

    path = save(tmp_path / "m", tf.nn.softmax)
    graph = path / "saved_model.pb"
    whole = graph.read_bytes()
    graph.write_bytes(b"\xff" + whole[: len(whole) // 2])
    with pytest.raises(InputError, match="damaged SavedModel"):
        load(path)
    graph.write_bytes(b"\x08\x01")
    with pytest.raises(InputError, match="TensorFlow 1"):
        load(path)
    graph.write_bytes(whole)
    (path / "variables" / "variables.index").write_bytes(b"nothing")
    with pytest.raises(InputError, match="damaged SavedModel"):
        load(path)
    (path / "assets" / "link").symlink_to("/etc/passwd")
    with pytest.raises(InputError, match="a link"):
        load(path)
