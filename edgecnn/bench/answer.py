"""What a worker answers, checked: it may come from another interpreter or a board."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

from edgecnn.bench import worker
from edgecnn.core import schema
from edgecnn.core.errors import InputError, MissingExtra


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProcessMemory:
    """Memory of the worker, MB (1e6 bytes); see `core.measurement.Memory`. None: not told."""

    baseline: float | None
    rss_anon: float | None
    rss_file: float | None
    rss_peak: float | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """One timed file; see `worker.measure` and `core.measurement` for the fields.

    Attributes:
        finite: The last output had neither NaN nor infinity.
    """

    SCHEMA: ClassVar[str] = worker.SCHEMA

    runtime_version: str
    delegate: str
    delegated_nodes: int | None
    total_nodes: int | None
    input_shape: tuple[int, ...]
    input_dtype: str
    output_shape: tuple[int, ...]
    output_dtype: str
    finite: bool
    init_ms: float
    first_ms: float
    warmup_runs: int
    samples_ms: tuple[float, ...]
    memory_mb: ProcessMemory
    machine: dict[str, Any]
    energy_mj: float | None = None


# The extra that brings each runtime.
EXTRAS = {
    "litert": "tflite",
    "tflite-runtime": "tflite-runtime",
    "onnxruntime": "onnx",
    "openvino": "openvino",
    "tensorflow": "train",
}


_OF_GPUS = {
    "no_gpu": (
        "no GPU to measure with",
        "use --target cpu, or name with --python an environment that has the runtime for the GPU",
    ),
    "fell_back": ("a file that did not run on the GPU", "measure it with --target cpu"),
    "wrong_answer": (
        "wrong answers on the GPU, so its times are worth nothing",
        "use another runtime, or --target cpu",
    ),
}


def check(answer: dict[str, Any], *, model: Path, runtime: str) -> Answer:
    """Check a worker's answer.

    Raises:
        MissingExtra: the interpreter that ran it has no such runtime.
        InputError: the runtime refuses the file, or the answer is not as agreed.
    """
    check_error(answer, model=model, runtime=runtime)
    return schema.decode(Answer, answer, where=f"the worker's answer about {model}")


def check_error(answer: dict[str, Any], *, model: Path, runtime: str) -> None:
    """Raise what a worker's answer says went wrong, if anything; see `check`."""
    problem = answer.get("error")
    if not isinstance(problem, dict):
        return
    kind, text = str(problem.get("kind")), " ".join(str(problem.get("text")).split())
    if kind == "no_runtime" and text.startswith("ModuleNotFoundError"):
        raise MissingExtra(f"measuring with {runtime}", EXTRAS[runtime])
    if kind == "no_runtime":
        raise InputError(
            f"{runtime} that does not start ({text[:200]})",
            where="that Python's environment",
            fix=f"pip install 'edgecnn[{EXTRAS[runtime]}]' in an environment of its own",
        )
    if kind == "bad_option":
        raise InputError(f"{runtime} {text[:200]}", where=model, fix="leave that option out")
    if kind in _OF_GPUS:
        what, fix = _OF_GPUS[kind]
        raise InputError(f"{what} ({text[:300]})", where=model, fix=fix)
    if kind == "fixed_batch":
        raise InputError(
            f"a file that takes no batch in {runtime} ({text[:200]})",
            where=model,
            fix="measure it with --batch 1",
        )
    raise InputError(
        f"a file that {runtime} refuses ({text[:200]})",
        where=model,
        fix="export or download it again",
    )
