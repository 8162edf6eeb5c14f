"""Time one model file on this machine's GPU, as `worker.py` does on the CPU.

An inference here begins and ends with numpy arrays: what a GPU computes has to come back.
Before a time is told, the answers are compared with the CPU's.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from edgecnn.bench import gpu_runtimes, worker

SCHEMA = "edgecnn/reference/1"
# Of the largest value. Float16 keeps 11 bits; a GPU computes integer networks in floats.
MOST_OFF = {"f": 0.02, "i": 0.10, "u": 0.10}
LOADERS = {"litert": gpu_runtimes.load_litert, "onnxruntime": gpu_runtimes.load_onnxruntime}
Json = dict[str, Any]


def measure(request: Json) -> Json:
    """Time a file on the GPU, or give the CPU's answers to compare with.

    Args:
        request: As that of `worker.measure`, with ``device``: "cpu" for the answers alone,
            "gpu" for times; then ``expected`` has the CPU's answers.

    Raises:
        WorkerError: as `worker.measure`; no GPU; it took nothing, or answers something else.
    """
    module_name, package, on_cpu = worker.RUNTIMES[request["runtime"]]
    if request["device"] == "cpu":
        return {"schema": SCHEMA, "outputs": reference(module_name, on_cpu, request)}
    if request["runtime"] not in LOADERS:
        raise worker.WorkerError("no_gpu", f"{request['runtime']} runs on the CPU alone")
    kept: list[worker.Loaded] = []

    def load(*given: Any) -> worker.Loaded:
        kept.append(LOADERS[request["runtime"]](*given))
        return kept[0]

    worker.RUNTIMES[request["runtime"]] = (module_name, package, load)
    told = worker.measure(request)
    problem = difference(request["expected"], answers(kept[0], request["input"]))
    if problem:
        raise worker.WorkerError("wrong_answer", problem)
    told["machine"].update({name: told.pop(name, None) for name in ("gpu", "gpu_kind")})
    return told


def reference(module_name: str, loader: Any, request: Json) -> list[list[float]]:
    """Return the CPU's answers."""
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise worker.WorkerError("no_runtime", f"{type(error).__name__}: {error}") from error
    try:
        model = loader(module, request["model"], 1, None, request["protocol"].get("batch", 1))
        return [[*map(float, one.ravel()), ord(one.dtype.kind)]
                for one in answers(model, request["input"])]  # fmt: skip
    except worker.WorkerError:
        raise
    # Runtimes' errors have no common base but Exception.
    except Exception as error:
        raise worker.WorkerError("bad_file", f"{error}") from error


def answers(model: worker.Loaded, how: dict[str, float] | None) -> list[Any]:
    """Return the outputs for three inputs: something like a photo, turned, and shifted."""
    photo = worker.input_values(model.input_shape, model.input_dtype, how)
    flat = photo.ravel()
    found = []
    for values in (flat, flat[::-1], np.roll(flat, len(flat) // 3)):
        model.set_input(np.ascontiguousarray(values.reshape(photo.shape)))
        model.run()
        found.append(np.array(model.output()))
    return found


def difference(expected: list[list[float]], got: list[Any]) -> str:
    """Say how the GPU's answers differ from the CPU's; empty where they don't matter.

    Args:
        expected: Of each input, the values, and the code of their kind: f, i or u.
        got: Likewise, arrays.
    """
    for (*values, kind), output in zip(expected, got):  # noqa: B905 - Python 3.9
        right, found = np.array(values), output.astype(np.float64).ravel()
        if right.shape != found.shape:
            return f"{found.size} values instead of {right.size}"
        if not np.isfinite(right).all():
            return "the CPU's own answer is not finite"
        if not np.isfinite(found).all():
            return "not finite: numbers too large for float16, where the GPU computes in that"
        off = float(np.abs(found - right).max() / (np.abs(right).max() or 1.0))
        if off > MOST_OFF[chr(int(kind))]:
            return f"off by {100 * off:.0f} % of the largest value"
    return ""


def main() -> None:
    """Answer one request."""
    worker.main(measure)
