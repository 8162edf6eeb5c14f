"""Where a worker runs: the protocol that each kind of target fills, and this machine."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol

from edgecnn.bench.worker import RUNTIMES
from edgecnn.core import schema
from edgecnn.core.errors import InputError

_PACKAGE = Path(__file__).parents[1]

# Finds the programs of this room in whichever interpreter runs them, and nothing else of ours:
# the packages' own __init__ would load megabytes that are no model's.
_START = """
import importlib, sys, types
sys.path[:] = [place for place in sys.path if place]
for name, place in (("edgecnn", sys.argv[1]), ("edgecnn.bench", sys.argv[1] + "/bench")):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [place]
importlib.import_module(sys.argv[2]).main()
"""


class Place(Protocol):
    """Somewhere a worker can run."""

    @property
    def name(self) -> str:
        """The target's name, as it stands in the row."""
        ...

    def run(self, request: dict[str, Any], *, timeout_seconds: float) -> dict[str, Any]:
        """Give a request to a fresh worker process and return its answer, unchecked.

        Args:
            request: See `worker.measure`; with ``per_op`` it is for `profiler.profile`.
            timeout_seconds: After this the worker hangs.

        Raises:
            InputError: the worker died, hung, or answered something that is not JSON.
        """
        ...


@dataclasses.dataclass(frozen=True)
class NoWorker:
    """The place of rows that no worker of this room makes: it only has a name."""

    name: str

    def run(self, request: dict[str, Any], *, timeout_seconds: float) -> dict[str, Any]:
        """Refuse; see `Place`.

        Raises:
            InputError: always.
        """
        del request, timeout_seconds
        raise InputError("no worker for that", where=self.name, fix="measure on cpu")


@dataclasses.dataclass(frozen=True)
class ThisMachine:
    """A child process on this machine's CPU.

    Attributes:
        python: The interpreter that has numpy and the runtime; any environment's.
    """

    python: Path = Path(sys.executable)
    name: str = "cpu"

    def run(self, request: dict[str, Any], *, timeout_seconds: float) -> dict[str, Any]:
        """Start the program for this request in a new process; see `Place`."""
        model = Path(request["model"])
        # What lies in the user's folder must not be found by what numpy or the runtime imports.
        environment = {**os.environ, "PYTHONSAFEPATH": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        try:
            done = subprocess.run(
                [self.python, "-c", _START, _PACKAGE, program_for(request)],
                input=json.dumps({**request, "model": str(model.absolute())}),
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout_seconds,
                env=environment,
                check=False,
            )
        except subprocess.TimeoutExpired:
            what = f"no answer from the runtime within {timeout_seconds:.0f} s"
            raise InputError(what, where=model, fix="measure fewer runs") from None
        except OSError as error:
            what = f"a Python that does not start ({error.strerror})"
            raise InputError(what, where=self.python, fix="check --python") from error
        if done.returncode != 0:
            raise _death(done, request)
        answer = schema.parse(done.stdout, where=model)
        if not isinstance(answer, dict):
            raise InputError("an answer that is no object", where=model, fix="check --python")
        return answer


def installed(python: Path) -> frozenset[str]:
    """Return the runtimes that an interpreter has, by their names in `worker.RUNTIMES`.

    Raises:
        InputError: no Python there.
    """
    packages = {"openvino": "openvino"}
    packages |= {name: module.partition(".")[0] for name, (module, *_) in RUNTIMES.items()}
    program = "import importlib.util as i, sys; print(*(n for n in sys.argv[1:] if i.find_spec(n)))"
    try:
        done = subprocess.run(
            [python, "-c", program, *packages.values()], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise InputError(
            "a Python that does not start", where=python, fix="check --python"
        ) from error
    there = set(done.stdout.split())
    return frozenset(name for name, package in packages.items() if package in there)


def program_for(request: dict[str, Any]) -> str:
    """Return the module that answers a request; its ``main`` does."""
    if "program" in request:  # of another room, for what is no file of a runtime
        return str(request["program"])
    for key, name in (("ceilings", "ceilings"), ("per_op", "profiler"), ("device", "gpu")):
        if request.get(key):
            return f"edgecnn.bench.{name}"
    return f"edgecnn.bench.{'openvino' if request['runtime'] == 'openvino' else 'worker'}"


def _death(done: subprocess.CompletedProcess[str], request: dict[str, Any]) -> InputError:
    """Say how the worker ended: native code that crashed, or an interpreter without numpy."""
    if done.returncode < 0:
        return InputError(
            f"a file that makes {request['runtime']} crash ({_signal_name(-done.returncode)})",
            where=request["model"],
            fix="export or download it again",
        )
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    return InputError(
        f"a worker that failed ({last})", where=request["model"], fix="check the Python it runs in"
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
