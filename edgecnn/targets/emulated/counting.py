"""Send a file to an emulated board, and bring back what it took and what it answered."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.bench import answer as answers
from edgecnn.core.artifact import Format
from edgecnn.core.errors import InputError
from edgecnn.runtime.engine import Raw
from edgecnn.targets.emulated import counted
from edgecnn.targets.emulated.software import COUNTING
from edgecnn.targets.inline import single_file
from edgecnn.targets.link import Link

# One thread, and nothing that differs from one process to the next: not even the folder's name
# or the length of the environment, nor what ONNX Runtime left in the home folder and in /tmp/.ses.
# Who counts at the same time waits.
_STEADY = (
    "env -i PATH=/usr/bin:/bin HOME=/tmp/counting TMPDIR=/tmp/counting LANG=C.UTF-8 "
    "QEMU_CPU=$QEMU_CPU PYTHONHASHSEED=0 OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1"
)
_COMMAND = (
    "set -e; exec 9>/tmp/counting.lock; flock 9; d=/tmp/counting; rm -rf $d /tmp/.ses; mkdir $d; "
    "trap 'rm -rf /tmp/counting' EXIT; cd $d; tar -xf -; "
    f"{_STEADY} /{COUNTING} counts python3 counted.py >&2; "
    "tar -cf - counts answer.json outputs.npy"
)
# Emulation and counting make all slower.
_SLOWER = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What to run there.

    Attributes:
        path: The file.
        kind: Its format.
        runtime: Which reads it there.
    """

    path: Path
    kind: Format
    runtime: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Counted:
    """What came back; fields as in `core.measurement.Measurement`.

    Attributes:
        counts: Guest instructions of each input's inference.
        outputs: [N, ...], the file's first output.
    """

    counts: tuple[int, ...]
    outputs: Raw
    runtime_version: str
    delegate: str
    delegated_nodes: int | None
    total_nodes: int | None
    memory_mb: dict[str, float] | None
    machine: dict[str, Any]


def count(
    link: Callable[[], Link], request: Request, tensors: Raw, *, timeout_seconds: float
) -> Counted:
    """Count the instructions of a file on a board.

    Args:
        link: Opens a connection.
        request: What to run.
        tensors: [N, ...], inputs to answer.
        timeout_seconds: That this machine would get for it.

    Raises:
        InputError: the runtime refuses the file or crashes, or the board is gone.
    """
    with contextlib.closing(link()) as there:
        done = there.run(
            _COMMAND, input=_packed(request, tensors), timeout=_SLOWER * timeout_seconds
        )
    if done.code:
        raise _death(request, done.code, done.stderr)
    files = _unpacked(done.stdout)
    told = json.loads(files["answer.json"])
    answers.check_error(told, model=request.path, runtime=request.runtime)
    marks = [int(line) for line in files["counts"].split()]
    return Counted(
        counts=tuple(after - before for before, after in zip(marks[::2], marks[1::2], strict=True)),
        outputs=np.load(io.BytesIO(files["outputs.npy"]), allow_pickle=False),
        **{field: told[field] for field in _TOLD},
    )


_TOLD = ("runtime_version", "delegate", "delegated_nodes", "total_nodes", "memory_mb", "machine")


@functools.cache
def _program() -> bytes:
    return single_file(counted.__name__).encode()


def _packed(request: Request, tensors: Raw) -> bytes:
    """Return a tar of the program, the file, and what to do with it."""
    model = f"model.{request.kind}"
    about = {"model": model, "runtime": request.runtime}
    inputs = io.BytesIO()
    np.save(inputs, tensors)
    parts = {
        "counted.py": _program(),
        "request.json": json.dumps(about).encode(),
        "inputs.npy": inputs.getvalue(),
        model: request.path.read_bytes(),
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in parts.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def _unpacked(packed: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        parts = {entry.name: archive.extractfile(entry) for entry in archive}
        return {name: part.read() for name, part in parts.items() if part is not None}


def _death(request: Request, code: int, said: bytes) -> InputError:
    last = (said.decode(errors="replace").strip().splitlines() or [f"status {code}"])[-1]
    if code > 128:
        return InputError(
            f"a file that makes {request.runtime} crash there ({last[:200]})",
            where=request.path,
            fix="export or download it again",
        )
    return InputError(
        f"a count that failed ({last[:200]})", where=request.path, fix="start the board again"
    )
