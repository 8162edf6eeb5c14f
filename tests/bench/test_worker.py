from __future__ import annotations

import ast
import gc
import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.bench import worker


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


def test_of_very_fast_runs_only_some_are_timed_but_all_are_made() -> None:
    made: list[int] = []
    clock = clock_ns(0, 1, 0, 1)
    samples = worker.time_runs(
        lambda: made.append(1), seconds=0, runs=2, max_seconds=9, every=5, clock_ns=clock
    )
    assert (len(samples), len(made)) == (2, 10)


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


def moment(**changed: Any) -> dict[str, Any]:
    start: dict[str, Any] = {
        "wall_s": 0.0,
        "busy_s": 0.0,
        "steal_s": 0.0,
        "own_s": 0.0,
        "waited_s": {},
        "clock_mhz": 1800.0,
        "temperature_c": 50.0,
        "throttle_count": 0.0,
        "pi_throttled": 0,
    }
    return {**start, **changed}


def test_time_of_other_processes_is_what_is_busy_less_what_is_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    told = worker.change(
        moment(),
        moment(wall_s=10.0, busy_s=18.0, own_s=10.0, steal_s=2.0, waited_s={"7": 1.0, "8": 0.2}),
    )
    assert told["others_share"] == 0.2
    assert told["steal_share"] == 0.05
    assert told["waiting_share"] == 0.1


def test_of_several_threads_the_one_that_waited_most_counts() -> None:
    before = moment(waited_s={"1": 5.0, "2": 0.0})
    after = moment(wall_s=10.0, waited_s={"1": 5.1, "2": 3.0, "3": 1.0})
    assert worker.change(before, after)["waiting_share"] == 0.3


def test_what_the_machine_does_not_tell_is_null() -> None:
    nan = float("nan")
    told = worker.change(
        moment(busy_s=nan, steal_s=nan, clock_mhz=None, temperature_c=None),
        moment(wall_s=1.0, busy_s=nan, steal_s=nan, clock_mhz=None),
    )
    assert told["others_share"] is told["steal_share"] is told["waiting_share"] is None
    assert told["clock_mhz"] is None


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        (0, 0, []),
        (0, 0b0100, ["throttled"]),
        (0b0001, 0b0001, ["under-voltage"]),
        (0, 0x20000, ["clock capped"]),  # happened and passed within the run
        (0x50000, 0x50000, []),  # happened long before
    ],
)
def test_a_raspberry_pi_names_what_throttles_it_now(
    before: int, after: int, names: list[str]
) -> None:
    assert worker.throttling(moment(pi_throttled=before), moment(pi_throttled=after)) == names


def test_an_x86_core_that_throttled_meanwhile_is_named() -> None:
    told = worker.throttling(moment(throttle_count=3.0), moment(throttle_count=4.0))
    assert told == ["thermal throttling"]


def test_this_machine_tells_its_facts() -> None:
    facts = worker.machine_facts()
    assert facts["arch"]
    assert facts["cores"] >= 1
    assert facts["python"].startswith("3.")


def test_the_file_stands_alone() -> None:
    source = Path(worker.__file__).read_text()
    imported = {
        name.partition(".")[0]
        for item in ast.walk(ast.parse(source, feature_version=(3, 9)))
        for name in (
            [alias.name for alias in item.names]
            if isinstance(item, ast.Import)
            else [item.module or ""]
            if isinstance(item, ast.ImportFrom)
            else []
        )
    }
    assert imported - set(sys.stdlib_module_names) == {"numpy"}


def test_it_answers_with_one_json_object_whatever_native_code_prints(
    shared: Path, tmp_path: Path
) -> None:
    """Copied away from the package and started by its path, as on a board."""
    copy = tmp_path / "worker.py"
    copy.write_text(Path(worker.__file__).read_text())
    request = {
        "model": str(shared / "models" / "mobilenet_v1_0.25_128_quant.tflite"),
        "runtime": "litert",
        "threads": 2,
        "input": None,
        "protocol": {
            "seconds": 0,
            "runs": 5,
            "warmup_seconds": 0,
            "warmup_runs": 2,
            "max_seconds": 9,
        },
    }
    done = subprocess.run(
        [sys.executable, "-P", copy],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    answer = json.loads(done.stdout)
    assert answer["schema"] == "edgecnn/worker/1"
    assert len(answer["samples_ms"]) == 5
    assert answer["warmup_runs"] == 2
    assert answer["input_shape"] == [1, 128, 128, 3]
    assert answer["delegate"] == "XNNPACK"
    assert answer["total_nodes"] == 31
    memory = answer["memory_mb"]
    assert 5 < memory["baseline"] < memory["rss_peak"] < 500
    assert memory["rss_anon"] + memory["rss_file"] <= memory["rss_peak"] * 1.02


def request_for(path: Path, runtime: str) -> dict[str, Any]:
    limits = {"seconds": 0, "runs": 4, "warmup_seconds": 0, "warmup_runs": 2, "max_seconds": 9}
    return {
        "model": str(path),
        "runtime": runtime,
        "threads": 1,
        "input": None,
        "protocol": limits,
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


@pytest.mark.parametrize(("told", "bits"), [("throttled=0x50005", 0x50005), ("nonsense", 0)])
def test_a_raspberry_pis_firmware_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str, bits: int
) -> None:
    program = tmp_path / "vcgencmd"
    program.write_text(f"#!/bin/sh\necho {told}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert worker.pi_throttled() == bits
    monkeypatch.setenv("PATH", "")
    assert worker.pi_throttled() == 0
