from __future__ import annotations

import ast
import gc
import itertools
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.bench import ThisMachine, machine, pace, worker


def clock_ns(*steps_ms: float) -> Any:
    """A clock that advances by these milliseconds at each look, then by nothing."""
    times = itertools.accumulate(itertools.chain([0], steps_ms, itertools.repeat(0)))
    return lambda: int(next(times) * 1_000_000)


def test_time_runs_stops_when_both_the_time_and_the_count_are_reached() -> None:
    # Looks: at the begin, then before and after each run.
    clock = clock_ns(0, 4, 0, 6, 0, 5)
    samples = worker.time_runs(lambda: None, seconds=0.010, runs=1, max_seconds=9, clock_ns=clock)
    assert samples == [4.0, 6.0]


def test_time_runs_goes_on_until_there_are_enough_runs() -> None:
    samples = worker.time_runs(
        lambda: None, seconds=0, runs=3, max_seconds=9, clock_ns=clock_ns(0, 5, 0, 5, 0, 5)
    )
    assert samples == [5.0, 5.0, 5.0]


def test_a_slow_model_stops_at_the_limit_with_fewer_runs() -> None:
    samples = worker.time_runs(
        lambda: None, seconds=1, runs=64, max_seconds=2, clock_ns=clock_ns(0, 1500, 0, 1500)
    )
    assert samples == [1500.0, 1500.0]


def test_what_is_done_before_each_run_is_not_timed() -> None:
    done: list[str] = []
    samples = worker.time_runs(
        lambda: done.append("run"),
        seconds=0,
        runs=2,
        max_seconds=9,
        before=lambda: done.append("before"),
        clock_ns=clock_ns(0, 1, 0, 1),
    )
    assert done == ["before", "run"] * 2
    assert samples == [1.0, 1.0]


@pytest.mark.tensorflow
def test_of_very_fast_runs_only_some_are_timed(
    tiny_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "MAX_SAMPLES", 50)
    request = request_for(tiny_files / "tiny-int8.tflite", "litert", seconds=0.3, warmup_runs=50)
    assert 4 <= len(worker.measure(request)["samples_ms"]) <= 60


def test_garbage_collection_is_on_again_after_a_run_that_fails() -> None:
    with pytest.raises(ZeroDivisionError):
        worker.time_runs(lambda: 1 / 0, seconds=0, runs=1, max_seconds=1)
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("dtype", "how", "low", "high"),
    [
        ("uint8", None, 0, 255),
        ("int8", None, -128, 127),
        ("float32", None, 0, 255),
        ("float32", {"scale": 1 / 127.5, "offset": -1.0}, -1, 1),
        ("int8", {"scale": 1.0, "offset": -128.0}, -128, 127),
    ],
)
def test_input_values_fill_the_range_that_pixels_take(
    dtype: str, how: dict[str, float] | None, low: float, high: float
) -> None:
    values = worker.input_values((1, 64, 64, 3), dtype, how)
    assert values.dtype == dtype
    assert values.shape == (1, 64, 64, 3)
    assert low <= values.min() < values.mean() < values.max() <= high
    assert np.ptp(values.astype(float)) > 0.6 * (high - low)


def node(name: str, inputs: list[int], outputs: list[int]) -> dict[str, Any]:
    return {"op_name": name, "inputs": inputs, "outputs": outputs}


def test_delegated_nodes_are_those_between_the_delegates_inputs_and_outputs() -> None:
    # 0 -conv-> 1 -relu-> 2 -odd-> 3 -conv-> 4; the delegate took all but the odd one.
    operators = [
        node("CONV_2D", [0, 10, -1], [1]),
        node("RELU", [1], [2]),
        node("ODD", [2], [3]),
        node("CONV_2D", [3, 11], [4]),
        node("DELEGATE", [0, 10], [2]),
        node("DELEGATE", [3, 11], [4]),
    ]
    told = worker.litert_delegation(operators)
    assert told == {"delegate": "XNNPACK", "delegated_nodes": 3, "total_nodes": 4}


def test_without_a_delegate_node_nothing_was_delegated() -> None:
    told = worker.litert_delegation([node("CONV_2D", [0, 1], [2])])
    assert told == {"delegate": "none", "delegated_nodes": 0, "total_nodes": 1}


def test_a_runtime_that_tells_no_nodes_leaves_the_counts_open() -> None:
    assert worker.litert_delegation([])["total_nodes"] is None


def imported_by(source: str) -> set[str]:
    """Return the modules that a file names, ours in full, others by their first name."""
    found = set()
    for item in ast.walk(ast.parse(source, feature_version=(3, 9))):
        if isinstance(item, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in item.names}
        elif isinstance(item, ast.ImportFrom):
            name = item.module or ""
            found.add(name if name.startswith("edgecnn") else name.partition(".")[0])
    return found - set(sys.stdlib_module_names)


def test_three_files_are_all_that_it_needs_of_ours() -> None:
    ours = {"edgecnn.bench.machine", "edgecnn.bench.pace"}
    assert imported_by(Path(worker.__file__).read_text()) == {"numpy", *ours}
    assert imported_by(Path(machine.__file__).read_text()) == {"numpy"}
    assert imported_by(Path(pace.__file__).read_text()) == {"numpy"}


def test_it_answers_with_one_json_object_whatever_native_code_prints(shared: Path) -> None:
    path = shared / "models" / "mobilenet_v1_0.25_128_quant.tflite"
    request = request_for(path, "litert") | {"threads": 2}
    answer = ThisMachine().run(request, timeout_seconds=60)
    assert answer["schema"] == "edgecnn/worker/1"
    assert len(answer["samples_ms"]) == 4
    assert answer["warmup_runs"] == 2
    assert answer["input_shape"] == [1, 128, 128, 3]
    assert answer["delegate"] == "XNNPACK"
    assert answer["total_nodes"] == 31
    memory = answer["memory_mb"]
    assert 5 < memory["baseline"] < memory["rss_peak"] < 500
    assert memory["rss_anon"] + memory["rss_file"] <= memory["rss_peak"] * 1.02


def test_without_a_delegate_the_runtime_itself_says_that_none_ran(shared: Path) -> None:
    path = shared / "models" / "mobilenet_v1_0.25_128_quant.tflite"
    request = request_for(path, "litert", delegate="none")
    answer = worker.measure(request)
    assert (answer["delegate"], answer["delegated_nodes"]) == ("none", 0)
    assert answer["total_nodes"] == 31


@pytest.mark.tensorflow
def test_a_delegate_that_a_runtime_does_not_have_is_refused(tiny_files: Path) -> None:
    with pytest.raises(worker.WorkerError, match="not with delegate 'none'") as caught:
        worker.measure(
            request_for(tiny_files / "tiny-float32.onnx", "onnxruntime", delegate="none")
        )
    assert caught.value.kind == "bad_option"


def test_a_batch_goes_through_a_file_of_one_image_where_its_layers_allow_it(shared: Path) -> None:
    path = shared / "models" / "mobilenet_v1_0.25_128_quant.tflite"
    with pytest.raises(worker.WorkerError) as caught:  # its last reshape says [1, 1001]
        worker.measure(request_for(path, "litert", batch=4))
    assert caught.value.kind == "fixed_batch"


@pytest.mark.tensorflow
def test_a_batch_is_one_inference_of_several_images(tiny_files: Path) -> None:
    answer = worker.measure(request_for(tiny_files / "tiny-int8.tflite", "litert", batch=4))
    assert answer["input_shape"] == [4, 32, 32, 3]
    assert answer["output_shape"] == [4, 4]


@pytest.mark.tensorflow
def test_an_onnx_file_of_one_image_says_so(tiny_files: Path) -> None:
    with pytest.raises(worker.WorkerError, match=r"its input is \[1, 32") as caught:
        worker.measure(request_for(tiny_files / "tiny-float32.onnx", "onnxruntime", batch=2))
    assert caught.value.kind == "fixed_batch"


@pytest.mark.parametrize(
    ("shape", "batch", "sized"),
    [
        (["N", 3, "height", 8], 1, (1, 3, 1, 8)),
        (["N", 3, 8, 8], 5, (5, 3, 8, 8)),
        ([2, 3, 8, 8], 1, (2, 3, 8, 8)),
        ([None, 3], 2, (2, 3)),
        ([], 1, ()),
    ],
)
def test_free_sizes_are_the_batch_or_one(
    shape: list[Any], batch: int, sized: tuple[int, ...]
) -> None:
    assert worker.sized(shape, batch) == sized


@pytest.mark.parametrize(
    "output", [np.zeros((1, 4)), np.zeros(()), np.array([[1.0, 2.0], [1.0, 2.5]])]
)
def test_an_output_that_treats_like_images_differently_is_no_batch(output: Any) -> None:
    with pytest.raises(worker.WorkerError):
        worker.require_alike(output, 2)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins nothing")
def test_a_pinned_process_stays_on_its_cores(shared: Path) -> None:
    path = shared / "models" / "mobilenet_v1_0.25_128_quant.tflite"
    core = max(os.sched_getaffinity(0))
    answer = ThisMachine().run(request_for(path, "litert", pin=[core]), timeout_seconds=60)
    assert answer["machine"]["affinity"] == [core]
    answer = ThisMachine().run(request_for(path, "litert", pin=[5000]), timeout_seconds=60)
    assert answer["error"]["kind"] == "bad_option"
    assert "cores [5000]" in answer["error"]["text"]


def request_for(path: Path, runtime: str, **options: Any) -> dict[str, Any]:
    limits = {"seconds": 0, "runs": 4, "warmup_seconds": 0, "warmup_runs": 2, "max_seconds": 9}
    return {
        "model": str(path),
        "runtime": runtime,
        "threads": 1,
        "input": None,
        "protocol": {**limits, **options},
    }


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("name", "runtime", "delegate", "nodes"),
    [
        ("tiny-float32.tflite", "litert", "XNNPACK", 9),
        ("tiny-float32.onnx", "onnxruntime", "CPUExecutionProvider", None),
    ],
)
def test_both_runtimes_are_timed_alike(
    tiny_files: Path, name: str, runtime: str, delegate: str, nodes: int | None
) -> None:
    answer = worker.measure(request_for(tiny_files / name, runtime))
    assert (len(answer["samples_ms"]), answer["warmup_runs"]) == (4, 2)
    assert (answer["delegate"], answer["delegated_nodes"]) == (delegate, nodes)
    assert (answer["input_dtype"], answer["output_shape"]) == ("float32", [1, 4])
    assert answer["finite"] is True
    json.dumps(answer, allow_nan=False)


@pytest.mark.parametrize("runtime", ["litert", "onnxruntime"])
def test_a_file_that_the_runtime_refuses_is_told_from_an_absent_runtime(
    tmp_path: Path, runtime: str
) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"no model at all")
    with pytest.raises(worker.WorkerError) as caught:
        worker.measure(request_for(path, runtime))
    assert caught.value.kind == "bad_file"


def test_an_absent_runtime_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(worker.RUNTIMES, "litert", ("no_such_module", "", worker.load_litert))
    with pytest.raises(worker.WorkerError, match="no_such_module") as caught:
        worker.measure(request_for(tmp_path, "litert"))
    assert caught.value.kind == "no_runtime"


def test_a_network_of_two_images_is_refused() -> None:
    with pytest.raises(worker.WorkerError, match="2 inputs"):
        worker.require_one_input(2)
